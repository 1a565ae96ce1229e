"""Bench of `gen.units.rope`."""

import torch
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.units.rope import Rope
from hardloom.golden.units.clip import Clip
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rope import Rope as RopeSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers, ladder, tiled, vectors

__all__ = ["CASES"]


def _near_the_ends(spec: RopeSpec, gains: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
    """A packet for each angle, [n, head_dim / 2], whose first or second half turns to near an end of the word."""
    target = tiled(ladder(spec.word), spec.head_dim // 2).double()
    target = target.repeat(-(-len(cos) // len(target)), 1)[: len(cos)]
    along, across = target * cos.double() / 2**spec.frac, target * sin.double() / 2**spec.frac
    second_half = (torch.arange(len(cos)) % 2).bool()[:, None]
    pair = torch.where(second_half, across, along), torch.where(second_half, along, -across)
    x = torch.cat(pair, -1)
    if gains is not None:
        x = x * 2.0**spec.frac / gains.where(gains != 0, 1)
    return spec.word.saturate(x.round().to(torch.int64))


def _case(
    lanes: int,
    head_dim: int,
    heads: int,
    max_positions: int,
    word: FixedPoint = FIXED,
    turned: int | None = None,
    gained: bool = True,
    limit: float | None = None,
) -> Case:
    spec = RopeSpec(turned or head_dim, 10000.0, word)
    clip = None if limit is None else Clip(limit, word)
    largest = (1 << (spec.gain_width - 1)) - 1
    gains = integers(torch.Generator().manual_seed(head_dim), -largest, largest, (head_dim,)) >> 3
    gains[0], gains[-1] = largest, -largest
    roms = {"gains": ("index", gains.reshape(-1, lanes).tolist())} if gained else {}

    def component() -> WithRoms:
        return WithRoms(Rope(spec, lanes, heads, max_positions, head_dim - spec.head_dim, gained, clip), roms)

    def computed(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        scaled = spec.scaled(x, gains) if gained else x
        scaled = scaled if clip is None else clip.compute(scaled)
        return torch.cat([spec.rotate(scaled[:, : spec.head_dim], cos, sin), scaled[:, spec.head_dim :]], -1)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        lengths = [max_positions] * 400 if kind == "corners" else integers(generator, 1, max_positions, (400,)).tolist()
        places = torch.cat([torch.arange(length) for length in lengths]).repeat_interleave(heads)
        x = vectors(generator, kind, head_dim, spec.word.width, packets=heads * (sum(lengths[:3]) + 1))
        cos, sin = (table[places] for table in spec.angles(max_positions))
        if kind == "corners":
            large = integers(generator, word.min >> 3, -(word.min >> 3), (2 * heads * max_positions, head_dim))
            start, count = len(x) + len(large), 2 * len(tiled(ladder(spec.word), spec.head_dim // 2))
            ends = _near_the_ends(
                spec, gains[: spec.head_dim] if gained else None, cos[start : start + count], sin[start : start + count]
            )
            x = torch.cat([x, large, torch.nn.functional.pad(ends, (0, head_dim - spec.head_dim), value=word.min)])
        expected = computed(x, cos[: len(x)], sin[: len(x)])
        last = [[int(p + 1 == length)] for length in lengths for p in range(length)][: -(-len(x) // heads)]
        return Stimulus({"i": packets(x, lanes), "ends": last}, {"o": packets(expected, lanes)})

    return Case(
        f"rope_{lanes}x{head_dim}_{word.width}"
        + f"_{turned}_turned" * (turned is not None)
        + "_plain" * (not gained)
        + "_clipped" * (clip is not None),
        component,
        stimulus,
        head_dim // lanes + 8,
        alone=latency.rope(head_dim // lanes, gained, clip is not None),
    )


CASES = [_case(4, 16, 2, 6), _case(2, 12, 3, 5), _case(1, 2, 1, 3), _case(2, 8, 1, 3, FixedPoint(36, 16))]
CASES += [_case(2, 16, 2, 4, turned=8), _case(2, 12, 1, 3, FixedPoint(28, 10), turned=4, gained=False)]
CASES += [_case(4, 12, 2, 3, turned=8), _case(1, 4, 2, 5, gained=False)]
CASES += [_case(2, 8, 2, 4, limit=3.5), _case(2, 12, 1, 3, turned=4, gained=False, limit=0.75)]
