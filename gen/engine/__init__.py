"""Units and arrays connected: a layer, and the chip around it."""
