"""Hardwired arrays, weights as wiring: `plan_array` decides, `emit` writes Verilog, `verif.extract` reads it back."""

from gen.arrays.emit import emit
from gen.arrays.plan import ArrayPlan, plan_array

__all__ = ["ArrayPlan", "emit", "plan_array"]
