"""Integers in floating point: exact on any device and in any order of sums, and many times as fast as in int64.

The objects beside this module compute on int64 tensors, and on float64 tensors that hold integers, with equal results:
products and sums below 2^53 are exact in float64, and powers of two times them. A product beyond is rounded once; it
then lies so far outside its word, which `FixedPoint` bounds for that, that it saturates all the same.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from hardloom.golden.errors import UserError

__all__ = ["ExactMatrix", "column", "exact_matmul", "exact_type", "power_of_two", "scaled", "tabulated"]

FLOAT32, FLOAT64 = 1 << 24, 1 << 52
"""Integers below them are exact in float32, and in float64 with room to be rounded."""

UNITS = 2.0**-100, 2.0**60
"""Powers of two that float32 holds with what they are multiplied by here."""

MOST_ENTRIES = 1 << 21
"""Entries of a table of all values of a function, at most; 16 MiB."""


def power_of_two(exponent: Tensor) -> Tensor:
    """2^exponent in float64, exact, for whole exponents of -1022 to 1023."""
    return torch.exp2(exponent.double())


@lru_cache
def column(values: tuple[int, ...], device: torch.device) -> Tensor:
    """Constants as int64 [entries], made once."""
    return torch.tensor(values, dtype=torch.int64, device=device)


def tabulated(unit: Any, x: Tensor, first: int, last: int) -> Tensor:
    """`unit.compute(x)` for float64 `x`: a table of all values from `first` to `last`; beyond, the function stays."""
    if last - first >= MOST_ENTRIES:
        return unit.compute(x.long()).double()
    index = x.float().clamp_(first, last).sub_(first).int()  # float32 is exact between them
    return _values(unit, first, last, x.device).index_select(0, index.flatten()).view(x.shape)


@lru_cache
def _values(unit: Any, first: int, last: int, device: torch.device) -> Tensor:
    return unit.compute(torch.arange(first, last + 1, device=device)).double()


def exact_type(sums: int) -> torch.dtype:
    """float32 where it holds integers up to `sums`, else float64."""
    return torch.float32 if sums < FLOAT32 else torch.float64


def exact_matmul(a: Tensor, b: Tensor, products: int) -> Tensor:
    """a @ b, float64, for integers whose products are `products` at most and whose sums stay below 2^53."""
    dtype = exact_type(products * a.shape[-1])
    return torch.matmul(a.to(dtype), b.to(dtype)).double()


def scaled(q: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """q * 2^scale in float32 or float64, exact for `q` of few bits and scales of a packet."""
    return q.to(dtype) * power_of_two(scale).to(dtype)


class ExactMatrix:
    """W = weights * mant * 2^exp, times vectors of integers times powers of two: sums without any rounding.

    Held in float32 where all sums are exact there, with a row's `mant` kept apart if that is what it takes, else in
    float64.

    Parameters
    ----------
    weights: integers [rows, columns]. mant, exp: integers [rows], mant of 8 bits.
    limit: largest magnitude of the vectors' integers.

    Raises
    ------
    UserError: sums might not be exact in float64.
    """

    def __init__(self, weights: Tensor, mant: Tensor, exp: Tensor, limit: int, device: torch.device) -> None:
        sums = weights.abs().sum(1, dtype=torch.int64) * limit
        if int((sums * mant).max()) >= FLOAT64:
            raise UserError(f"sums of up to {int(sums.max())} are not exact; quantize with a smaller spread")
        unit = power_of_two(exp)
        single = int(sums.max()) < FLOAT32 and bool((unit >= UNITS[0]).all() and (unit <= UNITS[1]).all())
        apart = single and int((sums * (mant // (mant & -mant))).max()) >= FLOAT32
        scale = unit if apart else mant * unit
        self.mant = mant.to(device, torch.float64) if apart else None
        self.weights = (weights.T * scale).to(device, torch.float32 if single else torch.float64).contiguous()

    @property
    def rows(self) -> int:
        return self.weights.shape[1]

    def product(self, x: Tensor, rows: slice = slice(None)) -> Tensor:
        """`x` float32 [..., columns] to the exact products with some rows, float32 or float64 [..., rows]."""
        y = x.to(self.weights.dtype) @ self.weights[:, rows]
        return y if self.mant is None else y.double().mul_(self.mant[rows])
