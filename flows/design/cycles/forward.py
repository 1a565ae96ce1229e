"""A pass over all positions of a sequence, and what the sampler needs around it."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from flows.design.cycles.attention import attention_half
from flows.design.cycles.experts import Routes, expert_half
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.times import in_order
from gen.design.latency import RESCALE, argmax

__all__ = ["forward_cycles", "likely_routes", "setup_cycles", "step_cycles"]


def forward_cycles(g: Geometry, routes: Sequence[Routes], positions: int) -> float:
    """From the first token into the embedding to the last prediction; routes: of each layer.

    Layers in which tokens arrive and part as in the one before take as long as that one.
    """
    hidden, head, vocabulary = g.hidden, g.array("head"), g.beats(g.model.vocab_size)
    times = in_order(np.zeros(positions), RESCALE + hidden, hidden)
    seen: dict[tuple[int, bytes], np.ndarray] = {}
    for layer in routes:
        arrivals = times - times[0]
        key = id(layer), arrivals.tobytes()
        if key not in seen:
            seen[key] = expert_half(g, attention_half(g, arrivals), layer)
        times = seen[key] + times[0]
    normed = in_order(times, g.normed, hidden)
    summed = in_order(normed, head.latency, head.packet)
    return float(in_order(summed, RESCALE + argmax(vocabulary), vocabulary)[-1])


def step_cycles(block: float, commits: float, sequences: int = 1) -> float:
    """The sampler's own of a denoising step: the block is scanned for every commit and once more, then counted.

    sequences: slots; of several, a pass takes a cycle more in each of the queues before and behind the scans.
    """
    return (commits + 1) * (block + 2) + 2 * commits + block + 10 + 2 * (sequences > 1)


def setup_cycles(gen_length: int, block_length: int, steps: int) -> int:
    """The sampler's own of a run by quota: checks, divisions by subtraction, masks written, blocks opened."""
    blocks = gen_length // block_length
    block_steps = steps // blocks
    return 3 + (blocks + 1) + (block_steps + 1) + (block_length // block_steps + 1) + gen_length + blocks


def likely_routes(num_experts: int, top_k: int, busiest: float, positions: int) -> Routes:
    """Routes of which a share `busiest` meets expert 0, spread evenly, and the others all other experts alike."""
    share = Fraction(busiest).limit_denominator(10_000) if num_experts > top_k else Fraction(1)
    others, turn, routes = max(1, num_experts - 1), 0, []
    for position in range(positions):
        first = [0] if int((position + 1) * share) > int(position * share) else []
        rest = [1 + (turn + k) % others for k in range(top_k - len(first))]
        turn += len(rest)
        routes.append(first + rest)
    return routes
