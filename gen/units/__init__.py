"""Amaranth components: one file a unit, built from the specification object of the same name in `golden/units`."""
