"""Bench of `gen.units.router`."""

from typing import Any

import torch
from torch import Generator, Tensor

from hardloom.gen.design.latency import router
from hardloom.gen.units.router import Router
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.router import Router as RouterSpec
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers
from hardloom.verif.units.argmax import logits, padded

__all__ = ["CASES"]


def _case(lanes: int, spec: RouterSpec, biases: Tensor | None = None) -> Case:
    word = spec.numerator.word
    latency = router(
        spec.num_experts,
        spec.top_k,
        lanes,
        softmax=spec.score == "softmax",
        grouped=spec.top_groups < spec.groups,
        renormalised=spec.renormalised,
        scaled=spec.scale != 1,
        block=spec.block_length if spec.capacity else 0,
    )

    def component() -> WithRoms:
        return WithRoms(Router(spec, lanes), {} if biases is None else {"bias": ("index", biases.tolist())})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, spec.num_experts, spec.numerator)
        if spec.score == "sigmoid":
            x[::2] >>= integers(generator, 0, word.width - word.frac - 4, (len(x[::2]), 1))  # inside its table
        passes = [len(x)] if spec.capacity == 0 else lengths(generator, len(x), 2 * spec.block_length + 1)
        parts = zip(*(spec.compute(some, biases) for some in x.split(passes)), strict=True)
        chosen = zip(*(torch.cat(part).tolist() for part in parts), strict=True)
        expected = [[{"experts": experts, "weights": weights}] for experts, weights in chosen]
        cycles = len(x) * spec.num_experts + -(-spec.num_experts // lanes) + latency + 6
        ends = [[int(p + 1 == length)] for length in passes for p in range(length)]
        inputs = {"i": packets(padded(generator, x, lanes, word), lanes)} | ({"ends": ends} if spec.capacity else {})
        return Stimulus(inputs, {"o": expected}, cycles=cycles)

    features = [f"{lanes}x{spec.num_experts}_{spec.top_k}_{word.width}", "biased" * spec.biased]
    features += ["selected" * (not spec.mixed), "sigmoid" * (spec.score == "sigmoid")]
    features += [f"of_{spec.top_groups}_in_{spec.groups}" * (spec.groups > 1)]
    features += [f"{spec.capacity}_in_blocks_of_{spec.block_length}" * (spec.capacity > 0)]
    features += [f"times_{round(10 * spec.scale)}" * (spec.scale != 1), "normal" * spec.renormalised]
    name = "router_" + "_".join(feature for feature in features if feature)
    waits = spec.capacity and spec.block_length > 1  # for other tokens
    return Case(name, component, stimulus, 0, alone=None if waits else latency)


def lengths(generator: Generator, total: int, most: int) -> list[int]:
    """Passes of 1 to `most` tokens, `total` in all."""
    found = list[int]()
    while sum(found) < total:
        found += integers(generator, 1, min(most, total - sum(found)), (1,)).tolist()
    return found


def _biases(num_experts: int, limit: int) -> Tensor:
    """Random ones up to `limit`, the first and last at the ends."""
    biases = integers(torch.Generator().manual_seed(num_experts), -limit, limit, (num_experts,))
    biases[0], biases[-1] = limit, -limit
    return biases


def _softmax(num_experts: int, top_k: int, biased: bool = False, word: FixedPoint = FIXED, **others: Any) -> RouterSpec:
    return RouterSpec(num_experts, top_k, biased, numerator=SoftmaxNumerator(word), **others)


def _sigmoid(num_experts: int, top_k: int, word: FixedPoint = FIXED, **others: Any) -> RouterSpec:
    return RouterSpec(num_experts, top_k, score="sigmoid", numerator=SoftmaxNumerator(word), **others)


LLADA2: dict[str, Any] = {"biased": True, "mixed": False, "renormalised": True, "scale": 2.5}
"""A router of the LLaDA2 line, but for its groups."""

CASES = [
    _case(2, _softmax(5, 2, True), _biases(5, 20000)),
    _case(4, _softmax(8, 8, True), _biases(8, (1 << 23) - 1)),
    _case(4, _softmax(26, 3)),
    _case(3, _softmax(7, 7)),
    _case(4, _softmax(3, 1, True), _biases(3, 1)),
    _case(1, _softmax(1, 1)),
    _case(1, _softmax(1, 1, True), _biases(1, 5)),
    _case(2, _softmax(5, 2, True, FixedPoint(36, 16)), _biases(5, 20000)),
    _case(4, _sigmoid(16, 3, groups=4, top_groups=2, **LLADA2), _biases(16, 30000)),
    _case(2, _sigmoid(12, 4, FixedPoint(28, 10), groups=6, top_groups=3, **LLADA2), _biases(12, 1 << 16)),
    _case(4, _sigmoid(6, 2, groups=6, top_groups=5, renormalised=True)),
    _case(3, _sigmoid(9, 9, FixedPoint(36, 16), biased=True, mixed=False), _biases(9, 1 << 22)),
    _case(1, _sigmoid(4, 1, FixedPoint(24, 12), renormalised=True, scale=900.0)),
    _case(2, RouterSpec(8, 2, groups=2, top_groups=1, renormalised=True)),
    _case(2, _softmax(6, 3, scale=0.3)),
    _case(4, _sigmoid(8, 4, biased=True, mixed=False, scale=16.0), _biases(8, 30000)),
    *(_case(lanes, _softmax(count, 2, word=FixedPoint(24, 12))) for lanes, count in ((16, 37), (32, 64), (128, 130))),
    _case(24, _softmax(20, 3)),
    _case(72, _softmax(150, 2, True), _biases(150, 20000)),
    _case(4, _sigmoid(8, 2, capacity=3, block_length=4, **LLADA2), _biases(8, 30000)),
    _case(2, _softmax(5, 2, True, capacity=4, block_length=1), _biases(5, 20000)),
    _case(3, _sigmoid(2, 1, FixedPoint(28, 10), capacity=1, block_length=3)),
]
