"""Commands on checkpoints: describe, make up, quantize, train, sample."""
