"""The attention half of a layer: all positions are stored, then a walk over groups of positions and heads, and keys."""

import numpy as np

from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.times import Record, Times, Unit, in_order, unrecorded
from hardloom.gen.design.latency import BIAS, RESIDUAL, quantize, rms_norm, rope, score

__all__ = ["AttentionHalf"]

TO_SUMS = 6  # distance, exponential, its shift and the value, weight, product, sum
HELD_BACK = 1  # and a head's keys: the first score leaves when the largest is known
TO_QUOTIENT = 4  # reciprocal, product, rounding: the first beat


def to_memory(g: Geometry) -> int:
    """From a position's last beat of q and k behind their rescale until its last head is stored."""
    attention = g.attention
    turned = rms_norm(g.head, g.lanes) * attention.head_norms + rope(
        g.head, attention.head_norms, attention.clip is not None
    )
    return BIAS * attention.bias + turned + quantize(g.head)


def keys_seen(g: Geometry, positions: int, first: int, kept: int) -> Times:
    """Keys that each group of queries is walked over with, float64 [groups of queries]; the pass has `positions` from
    `first` on, and `kept` are behind them."""
    stop, block = first + positions, g.attention.block_length
    firsts = np.arange(first, stop, g.query_lanes, dtype=float)
    return (
        np.full(firsts.shape, float(stop + kept)) if block is None else np.minimum(stop, (firsts // block + 1) * block)
    )


class AttentionHalf:
    """The attention half of a layer: a pass is loaded while the one before is computed, where its memories hold two."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        arrays, o = [g.array(kind) for kind in g.attention.projections], g.array("o")
        self.g, self.record = g, record
        self.groups = g.attention.num_heads // g.head_lanes
        self.normed = Unit(g.normed, g.hidden)
        summed = max(g.projected(kind) for kind in g.attention.projections)
        self.summed = Unit(summed, max(array.packet for array in arrays))
        self.projected = Unit(quantize(o.load) + g.projected("o"), max(o.packet, o.load))
        self.walked = self.taken = -np.inf
        self.free = [-np.inf] * g.passes

    def follow(self, arrivals: Times, first: int = 0, kept: int = 0) -> Times:
        """Last beats of the residual stream behind attention, by position, of a pass from position `first` on; kept: as
        `Pass` has it."""
        room = self.free.pop(0) - self.summed.latency - to_memory(self.g)
        normed = self.normed.follow(arrivals)
        stored = self.summed.follow(np.maximum(normed, room))[-1] + to_memory(self.g)
        divided = self.divided(max(stored, self.walked), len(arrivals), first, kept)
        projected = self.projected.follow(divided)
        self.record("input_norm", normed)
        self.record("attention.output", divided)
        self.record("o", projected)
        self.record("attention.residual", projected + RESIDUAL)
        return projected + RESIDUAL

    def divided(self, start: float, positions: int, first: int, kept: int) -> Times:
        """Last beats of attention's output, by position; start: of the walk; first, kept: as of `follow`.

        A group of heads and queries takes a cycle a key, and its sums leave one pair after the other.
        """
        g, packet, block = self.g, self.g.attention.num_heads * self.g.head, self.g.head_lanes * self.g.head
        keys = np.repeat(keys_seen(g, positions, first, kept), self.groups)
        queries = np.repeat(np.minimum(g.query_lanes, positions - np.arange(0, positions, g.query_lanes)), self.groups)
        last_keys = start + np.cumsum(keys)
        summed = in_order(last_keys + score(g.attention.head_dim), 0, keys) + keys + HELD_BACK + TO_SUMS
        summed[0] = max(summed[0], self.taken)
        each = np.maximum(np.append(keys[1:], 0), queries * block + 2)
        taken = in_order(summed, 0, each)
        self.walked, self.taken = last_keys[-1], taken[-1] + each[-1]
        self.free.append(taken[-1] - TO_SUMS + 2)  # the last value has been read
        complete = taken[self.groups - 1 :: self.groups]
        left = (complete[:, None] + block * np.arange(1, g.query_lanes + 1)).ravel()[:positions] + TO_QUOTIENT - 1
        return in_order(left, packet + 1, packet) if g.query_lanes > 1 and self.groups > 1 else left
