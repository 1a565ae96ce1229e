"""Bench of `gen.units.rescale`."""

import torch
from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.units.rescale import Rescale
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale as RescaleSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers, ladder, tiled, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, acc_width: int, shifts: tuple[int, int], made: Quantize = Quantize()) -> Case:
    """Row shifts are random in `shifts`, with both ends present. made: what made the array's input."""
    largest = made.word.width - made.width + 1
    spec, constants = RescaleSpec(made.word), torch.Generator().manual_seed(count)
    mant = integers(constants, 128, 255, (count,))
    shift = integers(constants, *shifts, (count,))
    shift[0], shift[-1] = shifts
    rows = [{"mant": a, "shift": b} for a, b in zip(mant.tolist(), shift.tolist(), strict=True)]
    words = [rows[k : k + lanes] for k in range(0, count, lanes)]

    def component() -> WithRoms:
        return WithRoms(Rescale(spec, acc_width, made.scale_width, lanes, count // lanes), {"rows": ("index", words)})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        acc = vectors(generator, kind, count, acc_width)
        scale = integers(generator, 0, largest, (len(acc), 1))
        if kind == "corners":
            target = tiled(ladder(spec.word), count).double()
            near = integers(generator, 0, largest, (len(target), 1))
            wanted = target * torch.exp2((shift - near).double()) / mant
            limit = 2.0 ** (acc_width - 1)
            acc = torch.cat([acc, wanted.clamp(-limit, limit - 1).to(torch.int64)])
            scale = torch.cat([scale, near])
        expected = spec.compute(acc, mant, shift, scale)
        return Stimulus({"i": packets(acc, lanes, scale)}, {"o": packets(expected, lanes)})

    return Case(f"rescale_{lanes}x{count}_{acc_width}_{made.word.width}", component, stimulus, 4, alone=latency.RESCALE)


CASES = [_case(4, 16, 20, (0, 30)), _case(2, 12, 13, (-256, 255)), _case(3, 3, 40, (-10, 60))]
CASES += [
    _case(2, 6, 22, (0, 50), Quantize(FixedPoint(36, 16), 4)),
    _case(2, 4, 18, (0, 30), Quantize(FixedPoint(24, 12))),
]
