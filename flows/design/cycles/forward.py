"""A pass over all positions of a sequence, and what the sampler needs around it."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from flows.design.cycles.attention import AttentionHalf
from flows.design.cycles.experts import ExpertHalf, Routes
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.times import Unit
from gen.design.latency import RESCALE, argmax

__all__ = ["ends", "forward_cycles", "likely_routes", "setup_cycles", "step_cycles"]


def ends(g: Geometry) -> tuple[Unit, list[Unit]]:
    """The embedding; and what stands behind the layers: the last norm, the head, its prediction."""
    head, vocabulary = g.array("head"), g.beats(g.model.vocab_size)
    tail = [(g.normed, g.hidden), (head.latency, head.packet), (RESCALE + argmax(vocabulary), vocabulary)]
    return Unit(RESCALE + g.hidden, g.hidden), [Unit(*timing) for timing in tail]


def forward_cycles(g: Geometry, routes: Sequence[Routes], positions: int) -> float:
    """From the first token into the embedding to the last prediction; routes: of each layer.

    Layers in which tokens arrive and part as in the one before take as long as that one.
    """
    embedding, tail = ends(g)
    times = embedding.follow(np.zeros(positions))
    seen: dict[tuple[int, bytes], np.ndarray] = {}
    for layer in routes:
        arrivals = times - times[0]
        key = id(layer), arrivals.tobytes()
        if key not in seen:
            seen[key] = ExpertHalf(g).follow(AttentionHalf(g).follow(arrivals), layer)
        times = seen[key] + times[0]
    for unit in tail:
        times = unit.follow(times)
    return float(times[-1])


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
