"""`hardloom estimate`: what a whole chip would be, from measured arrays and sourced assumptions (docs/estimate.md)."""
