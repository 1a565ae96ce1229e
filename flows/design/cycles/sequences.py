"""Several sequences in the pipeline: passes follow each other through units that remember the pass before."""

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

    The sampler serves one slot at a time, a pass that is back before a run that starts, and sends its next pass.
    """
    pipeline, ended, free = Pipeline(g), [0.0] * len(runs), -np.inf
    waiting = [(float(start), True, number, 0) for number, start in enumerate(starts)]
    while waiting:
        since, starting, number, step = asking = min(waiting, key=lambda one: (max(one[0], free), one[1], one[0]))
        waiting.remove(asking)
        run, step = runs[number], step + (not starting)
        free = max(since, free) + (run.setup if starting else run.passes[step - 1].own)
        if step == len(run.passes):
            ended[number] = free - starts[number]
        else:
            waiting.append((pipeline.send(free, run.passes[step]), False, number, step))
    return ended
