"""Bench of `gen.units.rmsnorm`."""

import torch
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.units.rmsnorm import RMSNorm
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rmsnorm import RMSNorm as RMSNormSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import integers, vectors

__all__ = ["CASES"]


def _table(spec: RMSNormSpec, generator: Generator) -> Tensor:
    """One-element vectors whose square falls into every segment of the table, early and late, at every length."""
    table = spec.rsqrt.table
    segments = torch.arange(1 << (table.index_bits - 2), 1 << table.index_bits).repeat_interleave(2)
    part = torch.tensor([0.1, 0.9]).repeat(len(segments) // 2)
    square = (segments + part).double() * 2.0**table.fraction_bits
    length = 2 * integers(generator, -5, 4, segments.shape)
    rows = torch.zeros(len(segments), spec.count, dtype=torch.int64)
    place = integers(generator, 0, spec.count - 1, segments.shape)
    rows[torch.arange(len(rows)), place] = (square * 2.0**length).sqrt().round().to(torch.int64)
    return rows


def _case(lanes: int, count: int, eps: float, word: FixedPoint = FIXED) -> Case:
    spec = RMSNormSpec(count, eps, word)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, spec.word.width)
        if kind == "corners":
            x = torch.cat([x, _table(spec, generator)])
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(spec.compute(x), lanes)})

    return Case(
        f"rmsnorm_{lanes}x{count}_{word.width}",
        lambda: RMSNorm(spec, lanes),
        stimulus,
        2 * count // lanes + 14,
        alone=latency.rms_norm(count // lanes, lanes),
    )


CASES = [
    *(_case(4, 16, 1e-5), _case(2, 12, 1e-6), _case(4, 64, 1e-5), _case(1, 3, 0.0), _case(8, 8, 1e-5)),
    *(_case(2, 6, 1e-5, FixedPoint(24, 12)), _case(2, 6, 1e-5, FixedPoint(36, 16))),
    *(_case(lanes, count, 1e-5, FixedPoint(24, 12)) for lanes, count in ((16, 48), (32, 32), (10, 20), (128, 256))),
]
