"""Functions as tables with linear interpolation, and the normalisations in front of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hardloom.golden.units.exact import column, tabulated
from hardloom.golden.units.fixed import bit_length
from hardloom.golden.units.rounding import floor_shift, round_shift

__all__ = ["LOG2E", "LOG2E_FRAC", "Exp2", "Log2", "Reciprocal", "Rsqrt", "Sigmoid", "Table"]

LOG2E_FRAC = 14
LOG2E = round(math.log2(math.e) * 2**LOG2E_FRAC)


@dataclass(frozen=True)
class Table:
    """y = base[i] + round_shift(delta[i] * f, fraction_bits) with x = i * 2^fraction_bits + f.

    Parameters
    ----------
    function: maps the segment number (0 to 2^index_bits, as float) to the value at its start.
    index_bits, fraction_bits: bits of `i` and of `f`.
    """

    function: Callable[[float], float] = field(repr=False, compare=False)
    index_bits: int
    fraction_bits: int
    points: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points = tuple(round(self.function(float(i))) for i in range((1 << self.index_bits) + 1))
        object.__setattr__(self, "points", points)

    @property
    def base(self) -> tuple[int, ...]:
        return self.points[:-1]

    @property
    def delta(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.points, self.points[1:], strict=False))

    def compute(self, x: Tensor) -> Tensor:
        if x.is_floating_point():
            return tabulated(self, x, 0, (1 << self.index_bits + self.fraction_bits) - 1)
        index = x >> self.fraction_bits
        fraction = x & ((1 << self.fraction_bits) - 1)
        base, delta = (column(values, x.device)[index] for values in (self.base, self.delta))
        return base + round_shift(delta * fraction, self.fraction_bits)


@dataclass(frozen=True)
class Exp2:
    """2^-d with 16 fraction bits (0 to 65536), for d >= 0 with 12 fraction bits; 0 from d = 18 on.

    Error against float: below 2 * 2^-16, tested over every fraction.
    """

    frac: int = 12
    out_frac: int = 16
    table: Table = field(
        default=Table(lambda i: 2.0**16 * 2.0 ** (-i / 64), index_bits=6, fraction_bits=6), init=False, repr=False
    )

    @property
    def one(self) -> int:
        """The result at 0."""
        return 1 << self.out_frac

    @property
    def zero_from(self) -> int:
        """Integer part of d from which the result is 0."""
        return self.out_frac + 2

    def compute(self, d: Tensor) -> Tensor:
        if d.is_floating_point():
            return tabulated(self, d, 0, self.zero_from << self.frac)
        whole = (d >> self.frac).clamp(max=self.zero_from)
        return round_shift(self.table.compute(d & ((1 << self.frac) - 1)), whole)


@dataclass(frozen=True)
class Rsqrt:
    """sqrt(count) / sqrt(x) for integers x >= 1, as r * 2^(exponent - 14 - half).

    `half` = ceil(bitlen(x) / 2), mantissa = x * 2^(16 - 2 half) (floor) in [2^14, 2^16),
    r = sqrt(count) * 2^-exponent * 2^14 / sqrt(mantissa * 2^-16), at most 2^15. Relative error below 2^-11.
    """

    count: int
    table: Table = field(init=False, repr=False)

    @property
    def exponent(self) -> int:
        """Smallest e with sqrt(count) <= 2^e."""
        return math.ceil(math.log2(self.count) / 2)

    def __post_init__(self) -> None:
        scale = math.sqrt(self.count) * 2.0 ** (14 - self.exponent)
        table = Table(lambda i: scale / math.sqrt(max(i, 32.0) / 128), index_bits=7, fraction_bits=9)
        object.__setattr__(self, "table", table)

    def compute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(r, half), both of x's shape and dtype, int64 or float64."""
        half = floor_shift(bit_length(x) + 1, 1)
        return self.table.compute(floor_shift(x, 2 * half - 16)), half


@dataclass(frozen=True)
class Reciprocal:
    """1 / x for integers x >= 1, as r * 2^(-15 - bitlen(x)), r in [2^15, 2^16]; relative error below 2^-13."""

    table: Table = field(
        default=Table(lambda i: 2.0**22 / (64 + i), index_bits=6, fraction_bits=9), init=False, repr=False
    )

    def compute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(r, bitlen(x)), both of x's shape and dtype, int64 or float64."""
        bits = bit_length(x)
        return self.table.compute(floor_shift(x, bits - 16) - (1 << 15)), bits


@dataclass(frozen=True)
class Log2:
    """log2 of integers x from 1 to below 2^47, 16 fraction bits, of the 16 highest bits of x; error below 2^-13, 0 at
    powers of two."""

    frac: int = 16
    table: Table = field(
        default=Table(lambda i: 2.0**16 * math.log2(1 + i / 64), index_bits=6, fraction_bits=9), init=False, repr=False
    )

    def compute(self, x: Tensor) -> Tensor:
        """int64, as x."""
        bits = bit_length(x)
        return (bits - 1 << self.frac) + self.table.compute(floor_shift(x, bits - 16) - (1 << 15))


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + e^-g) with 16 fraction bits, g in fixed-point with `in_frac`; exactly 0 or 1 from |g| = `limit` on.

    `limit` is a power of two. Error against float below 6e-5 inside; below 3.5e-4 at a cut at 8, none to see at 16.
    """

    in_frac: int = 16
    frac: int = 16
    limit: int = 8
    table: Table = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index_bits, fraction_bits = self.limit.bit_length() + 3, self.in_frac - 4  # segments of a sixteenth
        table = Table(lambda i: 2.0**16 / (1 + math.exp(-i / 16)), index_bits, fraction_bits)
        object.__setattr__(self, "table", table)

    def compute(self, g: Tensor) -> Tensor:
        if g.is_floating_point():
            return tabulated(self, g, -self.limit << self.in_frac, self.limit << self.in_frac)
        magnitude = g.abs()
        inside = magnitude < (self.limit << self.in_frac)
        top = (self.limit << self.in_frac) - 1
        positive = torch.where(inside, self.table.compute(magnitude.clamp(max=top)), 1 << 16)
        return torch.where(g < 0, (1 << 16) - positive, positive)
