"""Hugging Face checkpoints: config, tensors read and written in pieces, published architectures."""
