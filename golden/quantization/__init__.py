"""Weights of few bits: formats, a checkpoint quantized, the integers of its matrices."""
