"""Bench of `gen.units.bias`."""

import torch
from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.units.bias import Bias
from hardloom.golden.units.bias import Bias as BiasSpec
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers, ladder, tiled, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, word: FixedPoint = FIXED) -> Case:
    """Biases are random, with both ends of their word and 0 among them."""
    spec = BiasSpec(word)
    biases = integers(torch.Generator().manual_seed(count), word.min, word.max, (count,)) >> 2
    biases[:3] = torch.tensor([word.max, word.min, 0])[:count]
    words = biases.reshape(-1, lanes).tolist()

    def component() -> WithRoms:
        return WithRoms(Bias(spec, lanes, count // lanes), {"biases": ("index", words)})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, word.width)
        if kind == "corners":
            x = torch.cat([x, word.saturate(tiled(ladder(word), count) - biases)])
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(spec.compute(x, biases), lanes)})

    return Case(f"bias_{lanes}x{count}_{word.width}", component, stimulus, 2, alone=latency.BIAS)


CASES = [_case(4, 16), _case(3, 9), _case(1, 2, FixedPoint(24, 12)), _case(2, 4, FixedPoint(36, 16))]
