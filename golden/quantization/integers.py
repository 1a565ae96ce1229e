"""A quantized matrix as the integers that the hardware computes with."""

from dataclasses import dataclass

import torch

__all__ = ["MAX_SPREAD", "IntegerMatrix"]

MAX_SPREAD = 16
"""Largest difference of block exponents within a row that a hardwired array can hold, in bits."""


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
