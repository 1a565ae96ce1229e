"""From tokens to logits: the float model, and the integer model that the chip must equal."""
