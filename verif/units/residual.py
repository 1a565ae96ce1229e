"""Bench of `gen.units.residual`."""

import torch
from torch import Generator

from hardloom.gen.units.residual import Residual
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.verif.streams.bench import Case, Stimulus, ended, packets
from hardloom.verif.streams.stimulus import integers, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, depth: int, word: FixedPoint = FIXED) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, word.width, packets=32)
        branch = vectors(generator, kind, count, word.width, packets=32)
        if kind == "corners":
            pairs = torch.cartesian_prod(torch.arange(len(x)), torch.arange(len(x)))
            x, branch = x[pairs[:, 0]], branch[pairs[:, 1]]
        expected = word.saturate(x + branch)
        ends = integers(generator, 0, 1, (len(x),)).tolist()
        residual, result = ended(packets(x, lanes), ends), ended(packets(expected, lanes), ends)
        return Stimulus({"x": residual, "i": packets(branch, lanes)}, {"o": result})

    return Case(f"residual_{lanes}x{count}_{depth}_{word.width}", lambda: Residual(word, lanes, depth), stimulus, 6)


CASES = [_case(4, 16, 9), _case(2, 2, 2), _case(2, 4, 3, FixedPoint(36, 16))]
