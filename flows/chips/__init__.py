"""Commands on builds: generate, verify, the demonstration."""
