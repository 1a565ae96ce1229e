"""A pass over all positions of a sequence, and what the sampler needs around it."""

from collections.abc import Sequence

import numpy as np

from flows.design.cycles.geometry import Geometry
from flows.design.cycles.layer import Layer
from flows.design.cycles.passes import Pass
from flows.design.cycles.times import Times, Unit, in_order
from gen.design.latency import RESCALE, argmax
from golden.shape import LayerShape

__all__ = ["Tail", "embedding", "forward_cycles", "likely_wanted", "setup_cycles", "step_cycles"]

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


def forward_cycles(g: Geometry, one: Pass) -> float:
    """Of a pass alone, from its first token into the embedding to the last prediction.

    Layers of the same shape in which tokens arrive and part alike take as long as each other.
    """
    times = embedding(g).follow(np.zeros(len(one.positions)))
    seen: dict[tuple[LayerShape, int, bytes], np.ndarray] = {}
    for number, (shape, chosen) in enumerate(zip(g.model.layers, one.routes, strict=True)):
        arrivals = times - times[0]
        key = shape, id(chosen), arrivals.tobytes()
        if key not in seen:
            seen[key] = Layer(g.at(number)).follow(arrivals, chosen, one.positions.start)
        times = seen[key] + times[0]
    return Tail(g).follow(times, one.met)


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


def likely_wanted(stop: int, block: float, commits: float) -> range:
    """Positions that a step wants where the block that ends at position `stop`, at commits a step, is half done."""
    return range(stop - max(1, round((min(block, stop) + commits) / 2)), stop)
