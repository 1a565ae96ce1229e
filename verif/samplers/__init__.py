"""The chip's sampler under test: a host and a model around it, and programs for it."""
