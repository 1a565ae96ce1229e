"""Verilog of the prefabricated cells, which no weight touches, as Jinja templates."""
