"""A pass over all positions of a sequence, and what the sampler needs around it."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from flows.design.cycles.experts import Routes
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.layer import Layer
from flows.design.cycles.times import Times, Unit, in_order
from gen.design.latency import RESCALE, argmax
from golden.shape import LayerShape

__all__ = ["Tail", "embedding", "forward_cycles", "likely_routes", "likely_wanted", "setup_cycles", "step_cycles"]

PASSED = 2  # from a position's last beat behind the layers until the sampler knows, where the head does not meet it


def embedding(g: Geometry) -> Unit:
    return Unit(RESCALE + g.hidden, g.hidden)


class Tail:
    """What stands behind the layers: the last norm, the head and its prediction, for the positions that are wanted."""

    def __init__(self, g: Geometry) -> None:
        head = g.array("head")
        predicted = RESCALE + argmax(head.drain, g.head_tiles)
        units = [(g.normed, g.hidden), (head.latency, head.packet), (predicted, head.drain)]
        self.units = [Unit(*timing) for timing in units]

    def follow(self, times: Times, wanted: Sequence[int]) -> float:
        """When a pass is complete whose positions leave the layers then; the sampler takes one in a cycle, in order."""
        results, met = times + PASSED, times[list(wanted)]
        for unit in self.units:
            met = unit.follow(met)
        results[list(wanted)] = met
        return float(in_order(results, 0, 1)[-1])


def forward_cycles(g: Geometry, routes: Sequence[Routes | None], positions: int, wanted: Sequence[int]) -> float:
    """From the first token into the embedding to the last prediction of those `wanted`; routes: of each layer, None
    where it has no experts.

    Layers of the same shape in which tokens arrive and part alike take as long as each other.
    """
    times = embedding(g).follow(np.zeros(positions))
    seen: dict[tuple[LayerShape, int, bytes], np.ndarray] = {}
    for number, (shape, chosen) in enumerate(zip(g.model.layers, routes, strict=True)):
        arrivals = times - times[0]
        key = shape, id(chosen), arrivals.tobytes()
        if key not in seen:
            seen[key] = Layer(g.at(number)).follow(arrivals, chosen)
        times = seen[key] + times[0]
    return Tail(g).follow(times, wanted)


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


def likely_wanted(positions: int, block: float, commits: float) -> range:
    """Positions that a step wants of a sequence whose last block, at commits a step, is half done."""
    return range(positions - max(1, round((min(block, positions) + commits) / 2)), positions)


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
