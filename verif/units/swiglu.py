"""Bench of `gen.units.swiglu`."""

import torch
from torch import Generator

from gen.units.swiglu import SwiGLU
from golden.units.swiglu import SwiGLU as SwiGLUSpec
from verif.bench import Case, Stimulus, packets
from verif.stimulus import integers, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int) -> Case:
    spec = SwiGLUSpec()

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        gate = vectors(generator, kind, count, spec.word.width, packets=48)
        up = vectors(generator, kind, count, spec.word.width, packets=48)
        if kind == "corners":
            up = up[torch.randperm(len(up), generator=generator)]
        edges = integers(generator, -3, 3, gate.shape) + (spec.sigmoid.limit << spec.sigmoid.frac)
        gate[::4] = torch.where(gate[::4] < 0, -edges[::4], edges[::4])
        pairs = torch.stack([gate.unflatten(-1, (-1, lanes)), up.unflatten(-1, (-1, lanes))], dim=-2).flatten(1)
        expected = spec.compute(gate, up)
        return Stimulus({"i": packets(pairs, 2 * lanes)}, {"o": packets(expected, lanes)})

    return Case(f"swiglu_{lanes}x{count}", lambda: SwiGLU(spec, lanes), stimulus, 6)


CASES = [_case(4, 16), _case(2, 6), _case(1, 1)]
