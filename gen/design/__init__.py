"""What is decided: hardware configuration, matrices and their arrays, registers, ports."""
