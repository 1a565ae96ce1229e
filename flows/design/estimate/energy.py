"""Energy of an array unit: what toggles and what is clocked while a packet goes through it, times assumptions."""

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.arrays import UnitCost

__all__ = ["packet_fj"]


def packet_fj(cost: UnitCost, a: Assumptions) -> float:
    """fJ of one packet: adding gates in every step, merging gates as wires toggle, registers as they are clocked."""
    tile, quantities = cost.tile, cost.tile.quantities
    toggles = tile.adding_ge * quantities.steps * a["gate_activity"] + quantities.wire_toggles
    clocks = cost.tiles * quantities.clocks + quantities.shell_clocks
    return (cost.tiles * toggles * a["gate_toggle_fj"] + clocks * a["flip_flop_fj"]) * a["energy_scale"]
