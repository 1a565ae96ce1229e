"""Several sequences in the pipeline: passes follow each other through units that remember the pass before."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hardloom.flows.design.cycles.forward import Tail, embedding
from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.layer import Layer
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.times import Record, unrecorded

__all__ = ["Pipeline", "SequenceRun", "run_cycles"]


class Pipeline:
    """All units between the sampler's two ends."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        self.record, self.embedding, self.tail = record, embedding(g), Tail(g, record)
        layers = range(len(g.model.layers))
        self.layers = [Layer(g.at(number), within(record, f"layer.{number}.")) for number in layers]

    def send(self, start: float, one: Pass) -> float:
        """A pass whose first token comes then, none before those of the pass before; when its last result does."""
        times = self.embedding.follow(np.full(len(one.positions), start))
        self.record("embedding", times)
        for layer, routes in zip(self.layers, one.routes, strict=True):
            times = layer.follow(times, routes, one.positions.start, one.kept)
        return self.tail.follow(times, one.met)


def within(record: Record, prefix: str) -> Record:
    """A record of what is in a part, whose names begin with `prefix`."""
    return record if record is unrecorded else lambda name, times: record(prefix + name, times)


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
