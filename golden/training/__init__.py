"""The demonstration model: its tasks, quantization-aware training, accuracy."""
