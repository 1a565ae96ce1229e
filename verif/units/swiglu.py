"""Bench of `gen.units.swiglu`."""

import torch
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.units.swiglu import SwiGLU
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.swiglu import SwiGLU as SwiGLUSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import integers, ladder, tiled, vectors

__all__ = ["CASES"]


def _near_the_ends(spec: SwiGLUSpec, generator: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Gates whose sigmoid is 1, and ups that bring the product near an end of the word."""
    target = tiled(ladder(spec.word), count)
    gate = integers(generator, spec.sigmoid.limit << spec.sigmoid.in_frac, spec.word.max, target.shape)
    return gate, spec.word.saturate((target << spec.word.frac) // gate)


def _table(spec: SwiGLUSpec, generator: Generator, count: int) -> tuple[Tensor, Tensor]:
    """Gates in every segment of the table, of both signs, early and late in it; ups that show the last bit."""
    table = spec.sigmoid.table
    segment, step = torch.arange(1 << table.index_bits) << table.fraction_bits, 1 << table.fraction_bits
    parts = [segment + integers(generator, low, low + step // 4 - 1, segment.shape) for low in (0, step * 3 // 4)]
    gate = tiled(torch.cat([*parts, *(-part for part in parts)]), count)
    return gate, integers(generator, 1 << 17, 1 << 20, gate.shape)


def _case(lanes: int, count: int, word: FixedPoint = FIXED) -> Case:
    spec = SwiGLUSpec(word)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        gate = vectors(generator, kind, count, spec.word.width, packets=48)
        up = vectors(generator, kind, count, spec.word.width, packets=48)
        if kind == "corners":
            up = up[torch.randperm(len(up), generator=generator)]
        edges = integers(generator, -3, 3, gate.shape) + (spec.sigmoid.limit << spec.sigmoid.in_frac)
        gate[::4] = torch.where(gate[::4] < 0, -edges[::4], edges[::4])
        if kind == "corners":
            extra = _near_the_ends(spec, generator, count), _table(spec, generator, count)
            gate, up = (torch.cat([x, *y]) for x, y in zip((gate, up), zip(*extra, strict=True), strict=True))
        pairs = torch.stack([gate.unflatten(-1, (-1, lanes)), up.unflatten(-1, (-1, lanes))], dim=-2).flatten(1)
        expected = spec.compute(gate, up)
        return Stimulus({"i": packets(pairs, 2 * lanes)}, {"o": packets(expected, lanes)})

    return Case(f"swiglu_{lanes}x{count}_{word.width}", lambda: SwiGLU(spec, lanes), stimulus, 6, alone=latency.SWIGLU)


CASES = [_case(4, 16), _case(2, 6), _case(1, 1), _case(2, 4, FixedPoint(24, 12)), _case(1, 3, FixedPoint(36, 16))]
