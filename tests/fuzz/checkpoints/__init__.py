"""Checkpoints that were damaged or say something else: refused, or read as independent readers read them."""
