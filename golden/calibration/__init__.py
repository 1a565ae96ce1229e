"""What a model's activations are on text: their ranges, and the numeric contract that holds them."""
