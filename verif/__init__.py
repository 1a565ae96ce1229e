"""Checks that what gen writes is what golden computes."""
