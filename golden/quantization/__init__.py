"""4-bit weights: formats, a checkpoint quantized, the integers of its matrices."""
