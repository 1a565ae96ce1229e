"""Commands on builds: generate, verify, the demonstrations."""
