"""Bench of `gen.units.gain`."""

import torch
from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.units.gain import Gain
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.gain import Gain as GainSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers, ladder, tiled, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, word: FixedPoint = FIXED) -> Case:
    """Gains are random, with both ends of their word and 1 among them."""
    spec = GainSpec(word)
    limit = 1 << (spec.width - 1)
    gains = integers(torch.Generator().manual_seed(count), -limit, limit - 1, (count,)) >> 4
    gains[:3] = torch.tensor([limit - 1, -limit, 1 << spec.frac])[:count]
    words = gains.reshape(-1, lanes).tolist()

    def component() -> WithRoms:
        return WithRoms(Gain(spec, lanes, count // lanes), {"gains": ("index", words)})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, word.width)
        if kind == "corners":
            near = (tiled(ladder(word), count) << spec.frac) // gains.where(gains != 0, 1)
            x = torch.cat([x, word.saturate(near)])
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(spec.compute(x, gains), lanes)})

    return Case(f"gain_{lanes}x{count}_{word.width}", component, stimulus, 4, alone=latency.GAIN)


CASES = [_case(4, 16), _case(3, 9), _case(1, 2, FixedPoint(24, 12)), _case(2, 4, FixedPoint(36, 16))]
