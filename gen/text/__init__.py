"""Verilog as text: constant ROMs, heads of files, Amaranth's and Yosys' output made readable."""
