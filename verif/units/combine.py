"""Bench of `gen.units.combine`."""

import torch
from amaranth.hdl import Shape
from torch import Generator, Tensor

from gen.units.combine import Combine
from golden.units.combine import Combine as CombineSpec
from golden.units.fixed import FIXED, FixedPoint
from golden.units.router import Router as RouterSpec
from verif.streams.bench import Case, Stimulus, packets
from verif.streams.stimulus import integers, ladder, tiled, vectors

__all__ = ["CASES"]


PROBABILITY = RouterSpec(1, 1)
SCORE = RouterSpec(1, 1, biased=True)
"""Routers without biases and with them: weights of 17 bits, and of 25 with a sign."""


def _weights(generator: Generator, kind: str, router: RouterSpec, count: int) -> Tensor:
    """int64 [count, 1]: all that a router can give; "corners": the ends of its word often, 1 and 1/2."""
    top = (1 << (router.weight_width - 1)) - router.biased
    low = -top - 1 if router.biased else 0
    weight = integers(generator, low, top, (count, 1))
    if kind == "corners":
        weight[::2], weight[1::4], weight[3::8], weight[7::16] = 65536, 32768, top, low
    return weight


def _near_the_ends(spec: CombineSpec, count: int, top_k: int) -> Tensor:
    """int64 [n * top_k, count]: packets whose plain sum is near an end of the word; the first holds most of it."""
    target = tiled(ladder(spec.word), count)
    first = spec.word.saturate(target)
    rest = spec.word.saturate(target - first)
    zeros = torch.zeros_like(target)
    return torch.stack([first, rest, *[zeros] * top_k][:top_k], dim=1).flatten(0, 1)


def _case(lanes: int, count: int, top_k: int, router: RouterSpec = PROBABILITY, word: FixedPoint = FIXED) -> Case:
    spec, shape = CombineSpec(word), Shape(router.weight_width, router.biased)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, spec.word.width, packets=16 * top_k)
        x = x[: len(x) - len(x) % top_k]
        weight = _weights(generator, kind, router, len(x))
        if kind == "corners":
            ends = _near_the_ends(spec, count, top_k)
            x, weight = torch.cat([x, ends]), torch.cat([weight, torch.full((len(ends), 1), 65536)])
        total = (x * weight).unflatten(0, (-1, top_k)).sum(1)
        weighted = [
            [{"beat": beat, "weight": w} for beat in packet]
            for packet, w in zip(packets(x, lanes), weight.flatten().tolist(), strict=True)
        ]
        return Stimulus({"i": weighted}, {"o": packets(spec.compute(total), lanes)})

    name = f"combine_{lanes}x{count}_top{top_k}_{word.width}" + "_biased" * router.biased
    return Case(name, lambda: Combine(spec, shape, lanes, count // lanes, top_k), stimulus, 4)


CASES = [
    *(_case(4, 16, 2), _case(2, 12, 3), _case(4, 4, 8), _case(3, 9, 1)),
    *(_case(4, 16, 2, SCORE), _case(2, 4, 8, SCORE), _case(3, 9, 1, SCORE)),
    _case(2, 4, 2, word=FixedPoint(36, 16)),
]
