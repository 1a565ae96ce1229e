"""How much attention does at once, so that it keeps up with the arrays around it."""

from dataclasses import dataclass
from math import ceil

from hardloom.flows.design.estimate.workload import Workload
from hardloom.gen.design.lanes import check_attention
from hardloom.golden.shape import AttentionShape

__all__ = ["AttentionLanes", "attention_lanes"]


@dataclass(frozen=True)
class AttentionLanes:
    """Heads and queries at work at once in a layer (`gen.design.hardware.HardwareConfig`); cycles: a position costs."""

    head_lanes: int
    query_lanes: int
    cycles: float

    @property
    def pairs(self) -> int:
        """Of a query and a head, at work at once."""
        return self.head_lanes * self.query_lanes


def attention_lanes(attention: AttentionShape, work: Workload, budget: float) -> AttentionLanes:
    """The fewest at once with which a position costs at most `budget` cycles, or all of them.

    Several queries only where all heads are at work: then results need not be brought into order.
    """
    heads, block = attention.num_heads, attention.block_length
    possible = [h for h in range(1, heads + 1) if check_attention(attention, h, 1) is None]
    found = [AttentionLanes(h, 1, heads // h * work.length) for h in possible]
    fits = [lanes for lanes in found if lanes.cycles <= budget]
    if fits:
        return fits[0]
    queries = min(round(work.positions_per_forward), round(work.length))
    groups = int(budget * queries / work.length) or 1
    query_lanes = ceil(queries / groups)
    if block is not None:
        divisors = [lanes for lanes in range(1, queries + 1) if block % lanes == 0]
        query_lanes = next((lanes for lanes in divisors if lanes >= query_lanes), divisors[-1])
    return AttentionLanes(heads, query_lanes, ceil(queries / query_lanes) * work.length / queries)
