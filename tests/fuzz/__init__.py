"""Hostile inputs, a seed each: checkpoints and build folders that somebody spoiled or forged."""
