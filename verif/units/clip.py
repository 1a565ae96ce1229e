"""Bench of `gen.units.clip`."""

import torch
from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.units.clip import Clip
from hardloom.golden.units.clip import Clip as ClipSpec
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import tiled, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, limit: float, word: FixedPoint = FIXED) -> Case:
    """Both bounds and their neighbours are among the corners."""
    spec = ClipSpec(limit, word)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, word.width)
        if kind == "corners":
            near = torch.tensor([side * spec.bound + d for side in (-1, 1) for d in (-1, 0, 1)])
            x = torch.cat([x, word.saturate(tiled(near, count))])
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(spec.compute(x), lanes)})

    name = f"clip_{lanes}x{count}_{spec.bound}"
    return Case(name, lambda: Clip(spec, lanes), stimulus, 2, alone=latency.CLIP)


CASES = [_case(4, 16, 8.0), _case(3, 9, 0.3), _case(1, 2, 1e6), _case(2, 4, 0.0), _case(2, 4, 2.5, FixedPoint(36, 16))]
