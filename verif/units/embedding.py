"""Bench of `gen.units.embedding`."""

import torch
from torch import Generator

from hardloom.gen.units.embedding import Embedding
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rescale import Rescale as RescaleSpec
from hardloom.verif.streams.bench import Case, Stimulus, ended, packets
from hardloom.verif.streams.stimulus import WithRoms, integers

__all__ = ["CASES"]


def _case(
    lanes: int, count: int, vocab_size: int, weight_width: int, shifts: tuple[int, int], word: FixedPoint = FIXED
) -> Case:
    spec, constants = RescaleSpec(word), torch.Generator().manual_seed(vocab_size)
    limit = 1 << (weight_width - 1)
    weights = integers(constants, -limit, limit - 1, (vocab_size, count))
    mant, shift = integers(constants, 128, 255, (vocab_size, 1)), integers(constants, *shifts, (vocab_size, 1))
    scales = [{"mant": a, "shift": b} for a, b in zip(mant.flatten().tolist(), shift.flatten().tolist(), strict=True)]
    roms = {"weights": ("index", weights.reshape(-1, lanes).tolist()), "scale": ("row", scales)}

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        random = integers(generator, 0, vocab_size - 1, (2 * vocab_size,))
        tokens = torch.arange(vocab_size) if kind == "corners" else random
        expected = spec.word.round(weights[tokens] * mant[tokens], shift[tokens] - spec.word.frac)
        ends = integers(generator, 0, 1, (len(tokens),)).tolist()
        given = [[{"token": token, "end": end}] for token, end in zip(tokens.tolist(), ends, strict=True)]
        return Stimulus({"i": given}, {"o": ended(packets(expected, lanes), ends)})

    return Case(
        f"embedding_{lanes}x{count}_{word.width}",
        lambda: WithRoms(Embedding(spec, weight_width, vocab_size, lanes, count // lanes), roms),
        stimulus,
        4,
    )


CASES = [_case(4, 16, 40, 5, (0, 40)), _case(3, 9, 11, 8, (-256, 255)), _case(2, 2, 3, 2, (10, 20))]
CASES += [_case(2, 4, 5, 6, (0, 40), FixedPoint(24, 12)), _case(2, 4, 7, 6, (0, 40), FixedPoint(37, 16))]
