"""Integer specification objects: one file a unit, `compute` on int64 tensors of any leading shape.

Each object is frozen, holds every width, constant and table of its unit, and is what the hardware
(`gen/units`, same file name) and the bench (`verif/units`, same file name) are built from.
"""
