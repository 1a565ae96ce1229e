"""Bench of `gen.units.rope`."""

import torch
from torch import Generator

from gen.units.rope import Rope
from golden.units.rope import Rope as RopeSpec
from verif.bench import Case, Stimulus, packets
from verif.stimulus import WithRoms, integers, vectors

__all__ = ["CASES"]


def _case(lanes: int, head_dim: int, heads: int, max_positions: int) -> Case:
    spec = RopeSpec(head_dim, 10000.0)
    limit = (1 << (spec.gain_width - 1)) - 1
    gains = integers(torch.Generator().manual_seed(head_dim), -limit, limit, (head_dim,)) >> 3
    gains[0], gains[-1] = limit, -limit
    words = gains.reshape(-1, lanes).tolist()

    def component() -> WithRoms:
        return WithRoms(Rope(spec, lanes, heads, max_positions), {"gains": ("index", words)})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        positions = max_positions if kind == "corners" else int(integers(generator, 1, max_positions, ()))
        x = vectors(generator, kind, head_dim, spec.word.width, packets=2 * heads * positions + heads + 1)
        place = (torch.arange(len(x)) // heads) % positions
        cos, sin = (table[place] for table in spec.angles(max_positions))
        expected = spec.compute(x, gains, cos, sin)
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(expected, lanes)}, {"positions": positions})

    return Case(f"rope_{lanes}x{head_dim}", component, stimulus, head_dim // lanes + 8)


CASES = [_case(4, 16, 2, 6), _case(2, 12, 3, 5), _case(1, 2, 1, 3)]
