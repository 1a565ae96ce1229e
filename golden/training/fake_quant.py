"""Quantization-aware training: the roundings of the chip, applied to a float model, invisible to its gradient."""

import torch
from torch import Tensor

from hardloom.golden.models.float_model import Arithmetic
from hardloom.golden.quantization.formats import fake_quantize

__all__ = ["FakeQuant", "quantize_vector"]

FRACTION_BITS = 16  # of the fixed-point vectors that the chip quantizes


def quantize_vector(x: Tensor, bits: int = 8, fraction: int = FRACTION_BITS) -> Tensor:
    """`x` [..., elements] as integers of `bits` bits times one power of two a vector (`quantize` in docs/numeric.md);
    fraction: fraction bits of the word that is quantized."""
    fixed, limit = (x * 2**fraction).round_(), 2 ** (bits - 1) - 1
    bit_length = torch.frexp(torch.linalg.vector_norm(fixed, torch.inf, -1, keepdim=True)).exponent
    step = torch.ldexp(torch.ones_like(x[..., :1]), (bit_length - (bits - 1)).clamp(min=0))
    return fixed.div_(step).add_(0.5).floor_().clamp_(-limit, limit).mul_(step / 2**fraction)


def straight_through(x: Tensor, quantized: Tensor) -> Tensor:
    """The value of `quantized`, which is overwritten, with the gradient of `x`."""
    return x + quantized.sub_(x.detach())


class FakeQuant(Arithmetic):
    """Matrices in a weight format of `golden.quantization.formats`, activations in int8, where the chip has them so.

    Weights and gains are first rounded to bfloat16, as an exported checkpoint holds them.
    """

    def __init__(self, weight_format: str = "mxfp4"):
        self.weight_format = weight_format

    def matrix(self, weight: Tensor, gain: Tensor | None = None) -> Tensor:
        stored = weight if gain is None else weight * gain
        exact = weight.detach().bfloat16().float()
        if gain is not None:
            exact = exact * gain.detach().bfloat16().float()
        return straight_through(stored, fake_quantize(exact, self.weight_format))

    def vector(self, x: Tensor, site: str) -> Tensor:
        return straight_through(x, quantize_vector(x.detach()))
