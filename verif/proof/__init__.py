"""What is checked without simulating: every weight and table of a build, equivalence by Yosys."""
