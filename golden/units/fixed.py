"""Fixed-point words."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.units.rounding import round_shift

__all__ = ["FIXED", "SCORE", "FixedPoint", "bit_length", "largest_bits"]


EXACT, FACTOR = 53, 16
"""Bits of an integer that float64 holds, and of the factors that a word meets: tables, weights of experts."""


def bit_length(x: Tensor) -> Tensor:
    """Bits of the non-negative integers `x` below 2^53, 0 for 0 (as `int.bit_length`); int64 or float64 as `x`."""
    return torch.frexp(x.double()).exponent.to(x.dtype)


def largest_bits(x: Tensor) -> Tensor:
    """`bit_length` of the largest magnitude of the last axis, [..., 1]."""
    return bit_length(torch.maximum(x.amax(-1, keepdim=True), -x.amin(-1, keepdim=True)))


@dataclass(frozen=True)
class FixedPoint:
    """A signed, saturating fixed-point word: value = x * 2^-frac.

    Parameters
    ----------
    width: bits, sign included, 8 to 37, and at most 53 less `frac`: then units of this word may compute in float64,
        whose products are below 2^53, or shifted beyond the word.
    frac: fraction bits, below `width`.

    Raises
    ------
    UserError: a width or fraction outside those ranges.
    """

    width: int
    frac: int

    def __post_init__(self) -> None:
        if not 8 <= self.width <= self.widest(self.frac) or not 0 <= self.frac < self.width:
            raise UserError(
                f"a word of {self.width} bits with {self.frac} fraction bits is not one that units compute exactly; "
                f"choose 8 to {self.widest(0)} bits, at most {EXACT} less the fraction bits, and a fraction below"
            )

    @staticmethod
    def widest(frac: int) -> int:
        """The most bits of a word with so many fraction bits."""
        return EXACT - max(frac, FACTOR)

    @property
    def max(self) -> int:
        return (1 << (self.width - 1)) - 1

    @property
    def min(self) -> int:
        return -(1 << (self.width - 1))

    def constants(self, values: Tensor, what: str) -> Tensor:
        """Finite floats as int64 words, rounded half up. `UserError` where one, called `what`, rounds to none."""
        rounded = torch.floor(values.double() * 2**self.frac + 0.5)
        beyond = (rounded < self.min) | (rounded > self.max)
        if beyond.any():
            ends = f"{self.min / 2**self.frac:g} to {self.max / 2**self.frac:.10g}"
            raise UserError(
                f"{what} is {values[beyond][0]:.10g}, beyond its word, which holds {ends}; give another checkpoint"
            )
        return rounded.to(torch.int64)

    def saturate(self, x: Tensor) -> Tensor:
        return x.clamp(self.min, self.max)

    def saturate_(self, x: Tensor) -> Tensor:
        """`saturate` of a tensor that is not needed any more."""
        return x.clamp_(self.min, self.max)

    def nearest_(self, x: Tensor) -> Tensor:
        """Exact real numbers in float64, which are not needed any more, to words: rounded half up, saturated."""
        return self.saturate_(x.add_(0.5).floor_())

    def round(self, x: Tensor, *shifts: Tensor | int, factor: Tensor | int = 1, out: Tensor | None = None) -> Tensor:
        """saturate(round_shift(x, *shifts, factor=factor, out=out)), without an overflow between; int64 products below
        2^60, or in float64 below 2^52 or, as `width` says, some that saturate."""
        if x.is_floating_point():
            return self.saturate_(round_shift(x, *shifts, factor=factor, out=out))
        x = x * factor
        shift = torch.as_tensor(sum(shifts), dtype=torch.int64, device=x.device)
        right = round_shift(x, shift.clamp(min=0, max=62))
        places = (-shift).clamp(min=0, max=self.width)
        bounded = x.clamp((self.min >> places) - 1, (self.max >> places) + 1)  # what is beyond saturates anyhow
        left = bounded << places
        return self.saturate(torch.where(shift > 0, right, left))


FIXED = FixedPoint(width=28, frac=16)
"""Residual stream, array outputs and every other wide vector."""

SCORE = FixedPoint(width=24, frac=12)
"""Attention scores: logits to base 2."""
