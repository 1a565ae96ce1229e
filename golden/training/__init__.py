"""The demonstration models: their tasks, how they are trained, quantization-aware, and their accuracy."""
