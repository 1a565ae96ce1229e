"""RMSNorm without gain, fixed-point to fixed-point."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import torch
from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint, largest_bits
from hardloom.golden.units.rounding import floor_shift, round_shift
from hardloom.golden.units.table import Rsqrt

__all__ = ["RMSNorm"]


@dataclass(frozen=True)
class RMSNorm:
    """y = x / sqrt(mean(x^2) + eps) over the last axis.

    Parameters
    ----------
    count: elements of a vector.
    eps: as in `rms_norm_eps`.

    The vector is first brought to 16 bits (one shift for all), so that squares sum exactly.
    """

    count: int
    eps: float
    word: FixedPoint = FIXED
    mantissa_width: int = 16
    rsqrt: Rsqrt = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rsqrt", Rsqrt(self.count))

    @cached_property
    def eps_sum(self) -> int:
        """eps * count in the unit of the sum of squares, rounded half up."""
        return math.floor(Fraction(self.eps) * self.count * (1 << 2 * self.word.frac) + Fraction(1, 2))

    @property
    def left(self) -> int:
        """Constant left shift before the result's right shift by `half`."""
        return self.rsqrt.exponent + self.word.frac - 14

    def shift(self, x: Tensor) -> Tensor:
        """Right shift that brings a vector to `mantissa_width` bits; [..., 1]."""
        return (largest_bits(x) - (self.mantissa_width - 1)).clamp(min=0)

    def compute(self, x: Tensor) -> Tensor:
        """[..., count], int64 or float64, to the same."""
        shift = self.shift(x)
        limit = (1 << (self.mantissa_width - 1)) - 1
        mantissa = round_shift(x, shift).clamp_(-limit, limit)
        total = mantissa.square().sum(-1, keepdim=True) + floor_shift(torch.full_like(shift, self.eps_sum), 2 * shift)
        r, half = self.rsqrt.compute(total.clamp(min=1))
        return self.word.round(mantissa, half - self.left, factor=r, out=mantissa)
