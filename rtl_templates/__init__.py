"""Verilog of the prefabricated cells and of a layer's netlist, which no weight touches, as Jinja templates."""
