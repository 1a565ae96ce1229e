"""Energy of an array unit: what toggles and what is clocked while a packet goes through it, times assumptions."""

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.area import around_bits
from hardloom.flows.design.estimate.arrays import UnitCost
from hardloom.gen.design.queues import Queues
from hardloom.golden.shape import ExpertsShape, ModelShape

__all__ = ["packet_fj", "queued_fj"]


def packet_fj(cost: UnitCost, a: Assumptions) -> float:
    """fJ of one packet: adding gates in every step, merging gates as wires toggle, registers as they are clocked."""
    tile, quantities = cost.tile, cost.tile.quantities
    toggles = tile.adding_ge * quantities.steps * a["gate_activity"] + quantities.wire_toggles
    clocks = cost.tiles * quantities.clocks + quantities.shell_clocks
    return (cost.tiles * toggles * a["gate_toggle_fj"] + clocks * a["flip_flop_fj"]) * a["energy_scale"]


def queued_fj(shape: ModelShape, queues: Queues, a: Assumptions) -> float:
    """fJ of a position in the queues before and behind arrays of experts: all of it is written once and read once."""
    bits = 0.0
    for mlp in (layer.mlp for layer in shape.layers):
        if isinstance(mlp, ExpertsShape):
            packets, results = around_bits(shape.hidden_size, mlp, a)
            bits += mlp.top_k * (packets * (queues.packets > 0) + results * (queues.results > 0))
    return 2 * bits / 8 * a["sram_fj_per_byte"] * a["energy_scale"]
