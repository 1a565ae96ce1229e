"""The language of samplers: a text that is read as Python, never run as such, and compiled to the sampler's program."""
