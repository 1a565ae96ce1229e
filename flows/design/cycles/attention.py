"""The attention half of a layer: all positions are stored, then a walk over positions, heads and keys."""

import numpy as np

from flows.design.cycles.geometry import Geometry
from flows.design.cycles.times import Times, in_order
from gen.design.latency import RESCALE, RESIDUAL, quantize, rms_norm, rope, score

__all__ = ["attention_half"]

TO_SUMS = 5  # exponential, value, weight, product, sum
HELD_BACK = 1  # and a head's keys: the first score leaves when the largest is known
TO_QUOTIENT = 4  # reciprocal, product, rounding: the first beat


def loaded(g: Geometry, arrivals: Times) -> float:
    """When the last query, key and value are stored; arrivals: last beats of the residual stream, by position."""
    qkv, hidden, head = g.array("qkv"), g.hidden, g.head
    normed = in_order(arrivals, g.normed, hidden)
    summed = in_order(normed, qkv.latency, qkv.packet)
    return summed[-1] + RESCALE + rms_norm(head) + rope(head) + quantize(head)


def attention_half(g: Geometry, arrivals: Times) -> Times:
    """Last beats of the residual stream behind attention, by position."""
    positions, heads, head, o = len(arrivals), g.attention.num_heads, g.head, g.array("o")
    last_keys = loaded(g, arrivals) + positions * np.arange(1, positions * heads + 1)
    sums = last_keys + score(g.attention.head_dim) + positions + HELD_BACK + TO_SUMS
    divided = in_order(sums, 0, max(positions, head + 2))[heads - 1 :: heads] + TO_QUOTIENT + head - 1
    projected = in_order(divided, quantize(g.hidden) + o.latency, max(o.packet, g.hidden))
    return projected + RESCALE + RESIDUAL
