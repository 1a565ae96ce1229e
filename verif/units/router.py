"""Bench of `gen.units.router`."""

import torch
from torch import Generator, Tensor

from gen.design import latency
from gen.units.router import Router
from golden.units.fixed import FIXED, FixedPoint
from golden.units.router import Router as RouterSpec
from golden.units.softmax import SoftmaxNumerator
from verif.streams.bench import Case, Stimulus, packets
from verif.streams.stimulus import WithRoms, integers
from verif.units.argmax import logits, padded

__all__ = ["CASES"]


def _case(lanes: int, num_experts: int, top_k: int, biases: Tensor | None = None, word: FixedPoint = FIXED) -> Case:
    spec = RouterSpec(num_experts, top_k, biases is not None, numerator=SoftmaxNumerator(word))

    def component() -> WithRoms:
        return WithRoms(Router(spec, lanes), {} if biases is None else {"bias": ("index", biases.tolist())})

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, num_experts, spec.numerator)
        chosen = zip(*(part.tolist() for part in spec.compute(x, biases)), strict=True)
        expected = [[{"experts": experts, "weights": weights}] for experts, weights in chosen]
        cycles = (len(x) + 2) * num_experts + -(-num_experts // lanes) + 15
        return Stimulus({"i": packets(padded(generator, x, lanes, word), lanes)}, {"o": expected}, cycles=cycles)

    name = f"router_{lanes}x{num_experts}_{top_k}_{word.width}" + "_biased" * spec.biased
    return Case(name, component, stimulus, 0, alone=latency.router(num_experts))


def _biases(num_experts: int, limit: int) -> Tensor:
    """Random ones up to `limit`, the first and last at the ends."""
    biases = integers(torch.Generator().manual_seed(num_experts), -limit, limit, (num_experts,))
    biases[0], biases[-1] = limit, -limit
    return biases


CASES = [
    _case(2, 5, 2, _biases(5, 20000)),
    _case(4, 8, 8, _biases(8, (1 << 23) - 1)),
    _case(4, 26, 3),
    _case(3, 7, 7),
    _case(4, 3, 1, _biases(3, 1)),
    _case(1, 1, 1),
    _case(1, 1, 1, _biases(1, 5)),
    _case(2, 5, 2, _biases(5, 20000), FixedPoint(36, 16)),
]
