"""How many clock cycles an emitted chip takes: packets followed through its units, nothing simulated."""
