"""A quantized matrix as the integers that the hardware computes with."""

from dataclasses import dataclass

import torch

__all__ = ["MAX_SPREAD", "IntegerMatrix", "power_of_two"]

MAX_SPREAD = 16
"""Largest difference of block exponents within a row that a hardwired array can hold, in bits."""


def power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    """2^exponent as float64, exactly, for integers in -1022..1023 (made from bits: library powers may round)."""
    return ((exponent.to(torch.int64) + 1023) << 52).view(torch.float64)


@dataclass(frozen=True)
class IntegerMatrix:
    """W[j, i] = weights[j, i] * mant[j] * 2^exp[j], exactly.

    Attributes
    ----------
    weights: int32 (or int16) [rows, cols], small signed integers (mxfp4: at most 5 + `max_spread` bits; int4: 4;
        ternary: 2)
    mant: int32 [rows], in 128..255 (8 bits)
    exp: int32 [rows]
    max_spread: largest difference of block exponents within a row, in bits (0 for formats with one scale a row)
    """

    weights: torch.Tensor
    mant: torch.Tensor
    exp: torch.Tensor
    max_spread: int = 0

    def to_float64(self) -> torch.Tensor:
        """The matrix as float64 [rows, cols]; exact."""
        return (self.weights * self.mant[:, None]).double() * power_of_two(self.exp)[:, None]
