"""Benches of `gen.units.combine`."""

from itertools import pairwise

import torch
from amaranth.hdl import Shape
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.units.combine import Combine, WeightedSum, exact_sums
from hardloom.golden.units.combine import Combine as CombineSpec
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.router import Router as RouterSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import Flat, integers, ladder, tiled, vectors

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


def _finals(generator: Generator, most: int, count: int) -> list[bool]:
    """Whether a token ends with each of `count` packets; it has `most` of them at most."""
    finals: list[bool] = []
    while len(finals) < count:
        size = int(integers(generator, 1, most, (1,)))
        finals += [False] * (size - 1) + [True]
    return [*finals[: count - 1], True]


def _sum_case(count: int, most: int, router: RouterSpec = PROBABILITY, top_k: int = 8) -> Case:
    """Tokens of up to `most` packets, in words that have room for `top_k`."""
    lanes, shape = 2, Shape(router.weight_width, router.biased)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, FIXED.width, packets=12 * most)
        weight = _weights(generator, kind, router, len(x))
        finals = _finals(generator, most, len(x))
        ends = [k + 1 for k, final in enumerate(finals) if final]
        totals = torch.stack([(x * weight)[a:b].sum(0) for a, b in pairwise([0, *ends])])
        weighted = [
            [{"beat": beat, "weight": w, "final": final} for beat in packet]
            for packet, w, final in zip(packets(x, lanes), weight.flatten().tolist(), finals, strict=True)
        ]
        return Stimulus({"i": weighted}, {"o": packets(totals, lanes)})

    name = f"weighted_sum_{count}_top{most}" + "_biased" * router.biased
    sums = exact_sums(FIXED, shape, lanes, top_k)
    return Case(name, lambda: WeightedSum(FIXED, shape, sums, count // lanes, most), stimulus, 3)


def _in_groups(totals: Tensor, shares: Tensor, spare: Tensor) -> Tensor:
    """int64 [groups, n, count]: addends of `totals` in the groups that have a share, bool [n, groups]; `spare` of the
    shape of `totals` is moved from the last of them to the first."""
    parts = torch.zeros(shares.shape[1], *totals.shape, dtype=torch.int64)
    tokens = torch.arange(len(totals))
    first, last = shares.int().argmax(1), shares.shape[1] - 1 - shares.flip(1).int().argmax(1)
    parts[first, tokens] += spare
    parts[last, tokens] += totals - spare
    return parts


def _combine_case(lanes: int, count: int, top_k: int, groups: int, word: FixedPoint = FIXED) -> Case:
    """Sums of all sizes; "corners": those near the ends of the word."""
    spec, sums = CombineSpec(word), exact_sums(word, Shape(17), lanes, top_k)
    width = word.width + 14

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        near = tiled(ladder(word), count) << spec.weight_frac
        totals = near if kind == "corners" else vectors(generator, kind, count, width)
        totals = totals + integers(generator, -(1 << 15), (1 << 15) - 1, totals.shape)
        shares = integers(generator, 0, 1, (len(totals), groups)).bool()
        shares[torch.arange(len(totals)), integers(generator, 0, groups - 1, (len(totals),))] = True
        parts = _in_groups(totals, shares, vectors(generator, "random", count, width, len(totals)))
        inputs = {f"i_{g}": packets(parts[g][shares[:, g]], lanes) for g in range(groups)}
        if groups > 1:
            inputs["shares"] = [[sum(1 << g for g in range(groups) if share[g])] for share in shares.tolist()]
        return Stimulus(inputs, {"o": packets(spec.compute(totals), lanes)})

    name = f"combine_{lanes}x{count}_top{top_k}_{groups}_{word.width}"
    alone = latency.COMBINE if groups == 1 else None
    return Case(name, lambda: Flat(Combine(spec, sums, groups)), stimulus, 4, alone=alone)


CASES = [
    *(_sum_case(16, 2), _sum_case(12, 3), _sum_case(2, 8), _sum_case(6, 1)),
    *(_sum_case(8, 2, SCORE), _sum_case(2, 8, SCORE), _sum_case(6, 1, SCORE)),
    _sum_case(16, 1, top_k=1),
    *(_combine_case(4, 16, 2, 1), _combine_case(2, 6, 3, 2), _combine_case(2, 2, 8, 4)),
    _combine_case(2, 4, 2, 1, word=FixedPoint(36, 16)),
]
