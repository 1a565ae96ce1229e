"""Weights read back from Verilog text, knowing nothing of what wrote it."""
