"""What people run: commands, and what they drive."""
