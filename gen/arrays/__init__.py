"""Hardwired arrays, weights as wiring: `plan_array` decides, `emit` writes Verilog, `verif.extract` reads it back."""

from gen.arrays.emit import emit, emit_connections, emit_prefab
from gen.arrays.style import ArrayPlan
from gen.arrays.styles import plan_array

__all__ = ["ArrayPlan", "emit", "emit_connections", "emit_prefab", "plan_array"]
