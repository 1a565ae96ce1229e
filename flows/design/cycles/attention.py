"""The attention half of a layer: all positions are stored, then a walk over groups of positions and heads, and keys."""

import numpy as np

from flows.design.cycles.geometry import Geometry
from flows.design.cycles.times import Times, Unit, in_order
from gen.design.latency import RESCALE, RESIDUAL, quantize, rms_norm, rope, score

__all__ = ["AttentionHalf"]

TO_SUMS = 5  # exponential, value, weight, product, sum
HELD_BACK = 1  # and a head's keys: the first score leaves when the largest is known
TO_QUOTIENT = 4  # reciprocal, product, rounding: the first beat


def to_memory(g: Geometry) -> int:
    """From a position's last sum of q, k and v until its last head is stored."""
    return RESCALE + rms_norm(g.head) + rope(g.head) + quantize(g.head)


def values_left(g: Geometry, positions: int) -> int:
    """From the reading of a pass's last key to that of its last value."""
    return score(g.attention.head_dim) + positions + HELD_BACK + 1


def divided(g: Geometry, stored: float, positions: int) -> Times:
    """Last beats of attention's output, by position; stored: when the last key was stored.

    A group of heads and queries takes a cycle a key, and its sums leave one pair after the other.
    """
    groups, packet, block = g.attention.num_heads // g.head_lanes, g.attention.num_heads * g.head, g.head_lanes * g.head
    firsts = np.arange(0, positions, g.query_lanes)
    queries = np.repeat(np.minimum(g.query_lanes, positions - firsts), groups)
    last_keys = stored + positions * np.arange(1, len(queries) + 1)
    sums = last_keys + score(g.attention.head_dim) + positions + HELD_BACK + TO_SUMS
    taken = in_order(sums, 0, np.maximum(positions, queries * block + 2))[groups - 1 :: groups]
    left = (taken[:, None] + block * np.arange(1, g.query_lanes + 1)).ravel()[:positions] + TO_QUOTIENT - 1
    return in_order(left, packet + 1, packet) if g.query_lanes > 1 and groups > 1 else left


class AttentionHalf:
    """The attention half of a layer: a pass is loaded while the one before is computed, where its memories hold two."""

    def __init__(self, g: Geometry) -> None:
        qkv, o = g.array("qkv"), g.array("o")
        self.g = g
        self.normed, self.summed = Unit(g.normed, g.hidden), Unit(qkv.latency, qkv.packet)
        self.projected = Unit(quantize(g.hidden) + o.latency, max(o.packet, g.hidden))
        self.walked = -np.inf
        self.free = [-np.inf] * g.passes

    def follow(self, arrivals: Times) -> Times:
        """Last beats of the residual stream behind attention, by position."""
        g, positions = self.g, len(arrivals)
        room = self.free.pop(0) - self.summed.latency - to_memory(g)
        stored = self.summed.follow(np.maximum(self.normed.follow(arrivals), room))[-1] + to_memory(g)
        start = max(stored, self.walked)
        steps = -(-positions // g.query_lanes) * (g.attention.num_heads // g.head_lanes)
        self.walked = start + positions * steps
        self.free.append(self.walked + values_left(g, positions))
        return self.projected.follow(divided(g, start, positions)) + RESCALE + RESIDUAL
