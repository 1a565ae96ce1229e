"""What must be computed, bit for bit, and from which weights."""
