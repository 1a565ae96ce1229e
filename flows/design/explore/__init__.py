"""`hardloom explore`: slices and lanes that reach a throughput with the least area or energy (docs/explore.md)."""
