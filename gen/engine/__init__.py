"""Units and arrays connected: a layer, the chip around it, and an inventory of what they hold."""
