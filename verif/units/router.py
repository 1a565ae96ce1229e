"""Bench of `gen.units.router`."""

from typing import Any

import torch
from torch import Generator, Tensor

from gen.design.latency import router
from gen.units.router import Router
from golden.units.fixed import FIXED, FixedPoint
from golden.units.router import Router as RouterSpec
from golden.units.softmax import SoftmaxNumerator
from verif.streams.bench import Case, Stimulus, packets
from verif.streams.stimulus import WithRoms, integers
from verif.units.argmax import logits, padded

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
    )

    def component() -> WithRoms:
        return WithRoms(Router(spec, lanes), {} if biases is None else {"bias": ("index", biases.tolist())})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, spec.num_experts, spec.numerator)
        if spec.score == "sigmoid":
            x[::2] >>= integers(generator, 0, word.width - word.frac - 4, (len(x[::2]), 1))  # inside its table
        chosen = zip(*(part.tolist() for part in spec.compute(x, biases)), strict=True)
        expected = [[{"experts": experts, "weights": weights}] for experts, weights in chosen]
        cycles = len(x) * spec.num_experts + -(-spec.num_experts // lanes) + latency + 6
        return Stimulus({"i": packets(padded(generator, x, lanes, word), lanes)}, {"o": expected}, cycles=cycles)

    features = [f"{lanes}x{spec.num_experts}_{spec.top_k}_{word.width}", "biased" * spec.biased]
    features += ["selected" * (not spec.mixed), "sigmoid" * (spec.score == "sigmoid")]
    features += [f"of_{spec.top_groups}_in_{spec.groups}" * (spec.groups > 1)]
    features += [f"times_{round(10 * spec.scale)}" * spec.renormalised]
    name = "router_" + "_".join(feature for feature in features if feature)
    return Case(name, component, stimulus, 0, alone=latency)


def _biases(num_experts: int, limit: int) -> Tensor:
    """Random ones up to `limit`, the first and last at the ends."""
    biases = integers(torch.Generator().manual_seed(num_experts), -limit, limit, (num_experts,))
    biases[0], biases[-1] = limit, -limit
    return biases


def _softmax(num_experts: int, top_k: int, biased: bool = False, word: FixedPoint = FIXED) -> RouterSpec:
    return RouterSpec(num_experts, top_k, biased, numerator=SoftmaxNumerator(word))


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
]
