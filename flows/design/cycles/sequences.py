"""Several sequences in the pipeline: passes follow each other through units that remember the pass before."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flows.design.cycles.attention import divided, to_memory, values_left
from flows.design.cycles.experts import ExpertHalf, Routes
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.times import Times, in_order
from gen.design.latency import RESCALE, RESIDUAL, argmax, quantize

__all__ = ["Pass", "Pipeline", "SequenceRun", "run_cycles"]


@dataclass(frozen=True)
class Pass:
    """A pass of a sequence.

    positions: of the sequence; routes: of each layer; own: cycles of the sampler from its last result to the next pass.
    """

    positions: int
    routes: Sequence[Routes]
    own: float


class Unit:
    """A unit that takes a packet every `interval` cycles and gives it `latency` later.

    left: when the latest packet did.
    """

    def __init__(self, latency: float, interval: float) -> None:
        self.latency, self.interval, self.left = latency, interval, -np.inf

    def follow(self, arrivals: Times) -> Times:
        """When the packets of a pass leave, behind those of the pass before."""
        earliest = np.concatenate(([self.left + self.interval - self.latency], np.full(len(arrivals) - 1, -np.inf)))
        times = in_order(np.maximum(arrivals, earliest), self.latency, self.interval)
        self.left = times[-1]
        return times


class AttentionPasses:
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


class Pipeline:
    """All units between the sampler's two ends."""

    def __init__(self, g: Geometry) -> None:
        head, vocabulary = g.array("head"), g.beats(g.model.vocab_size)
        self.embedding = Unit(RESCALE + g.hidden, g.hidden)
        self.layers = [(AttentionPasses(g), ExpertHalf(g)) for _ in g.model.layers]
        self.tail = [
            Unit(g.normed, g.hidden),
            Unit(head.latency, head.packet),
            Unit(RESCALE + argmax(vocabulary), vocabulary),
        ]

    def send(self, start: float, one: Pass) -> float:
        """A pass whose first token comes then, none before those of the pass before; when its last result does."""
        times = self.embedding.follow(np.full(one.positions, start))
        for (attention, experts), routes in zip(self.layers, one.routes, strict=True):
            arrivals = attention.follow(times).tolist()
            times = np.array([experts.token(at, chosen) for at, chosen in zip(arrivals, routes, strict=True)])
        for unit in self.tail:
            times = unit.follow(times)
        return float(times[-1])


@dataclass(frozen=True)
class SequenceRun:
    """A run: `setup` cycles of the sampler, then its passes."""

    setup: float
    passes: Sequence[Pass]


def run_cycles(g: Geometry, runs: Sequence[SequenceRun], starts: Sequence[float]) -> list[float]:
    """Cycles of each of the runs from its start to its end, each in a slot of its own.

    Passes are sent in the order in which they are ready; the sampler serves one slot at a time.
    """
    pipeline, ended = Pipeline(g), [0.0] * len(runs)
    serving = 0.0
    ready = []
    for number in np.argsort(starts):
        serving = max(serving, starts[number]) + runs[number].setup
        ready.append((serving, int(number), 0))
    heapq.heapify(ready)
    back: list[tuple[float, int, int]] = []
    while ready or back:
        if back and (not ready or back[0][0] <= ready[0][0]):
            result, number, step = heapq.heappop(back)
            serving = max(serving, result) + runs[number].passes[step].own
            if step + 1 == len(runs[number].passes):
                ended[number] = serving - starts[number]
            else:
                heapq.heappush(ready, (serving, number, step + 1))
        else:
            start, number, step = heapq.heappop(ready)
            heapq.heappush(back, (pipeline.send(start, runs[number].passes[step]), number, step))
    return ended
