"""Hardwired arrays, weights as wiring: `plan_array` decides, `emit` writes Verilog, `verif.extract` reads it back."""

from hardloom.gen.arrays.emit import emit, emit_connections, emit_prefab
from hardloom.gen.arrays.style import ArrayPlan
from hardloom.gen.arrays.styles import plan_array

__all__ = ["ArrayPlan", "emit", "emit_connections", "emit_prefab", "plan_array"]
