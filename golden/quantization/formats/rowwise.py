"""`int4`, `int8` and `ternary`: symmetric integer codes in two's complement, one bfloat16 scale a row.

- Scale of a row: `int8` its largest magnitude / 127; `int4` the one of 16/16, 15/16, ... 8/16 of its largest magnitude
  / 7 with the least sum of squared errors (in float32, halves of the row added up), the first of equals; `ternary` the
  mean of its magnitudes (summed in float64). It is rounded to float32, then to bfloat16, both to nearest even, and is
  at least 2^-133 (the smallest bfloat16) in a row that is not zero.
- Code: w / scale rounded to the nearest integer, ties to even, saturating at -127..127 (`int8`), -7..7 (`int4`) or
  -1..1 (`ternary`).
- A row of zeros has codes 0 and scale 0.
"""

import torch
from torch import Tensor

from hardloom.golden.quantization.formats.base import Format, sum_of_squares
from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = ["RowFormat", "TernaryFormat"]

SMALLEST_SCALE = 2.0**-133
LARGEST_SCALE = torch.finfo(torch.bfloat16).max


class RowFormat(Format):
    """Codes -limit..limit of `bits` bits. fractions: of the scale that saturates nothing, one of which a row takes."""

    block = None
    scale_dtype = torch.bfloat16

    def __init__(self, name: str, bits: int, limit: int, fractions: tuple[float, ...] = (1.0,)):
        self.name = name
        self.bits = bits
        self.largest = float(limit)
        self.units = self.limit = limit
        self.fractions = fractions
        half = 1 << (bits - 1)
        self.values = torch.tensor([*range(half), *range(-half, 0)], dtype=torch.float32)

    def scales(self, w: Tensor) -> Tensor:
        whole = w.abs().amax(-1) / self.limit
        best = stored(whole * self.fractions[0])
        least = self._loss(w, best) if len(self.fractions) > 1 else best
        for fraction in self.fractions[1:]:
            other = stored(whole * fraction)
            loss = self._loss(w, other) * (other.float() / stored(whole).float()).square()
            better = loss < least
            best, least = torch.where(better, other, best), torch.where(better, loss, least)
        return best.masked_fill((w == 0).all(-1), 0)

    def encode(self, w: Tensor, scales: Tensor) -> Tensor:
        return self._nearest(in_scales(w, scales)).to(torch.int8).view(torch.uint8) & ((1 << self.bits) - 1)

    def _nearest(self, quotients: Tensor) -> Tensor:
        return quotients.round().clamp(-self.limit, self.limit)

    def _loss(self, w: Tensor, scales: Tensor) -> Tensor:
        """Sums of squared errors of rows, over the scale's square."""
        quotients = in_scales(w, scales)
        return sum_of_squares(quotients - self._nearest(quotients))

    def scale_shape(self, rows: int, cols: int) -> tuple[int, ...]:
        return (rows,)

    def scale_values(self, scales: Tensor, cols: int) -> Tensor:
        return scales.float()[..., None]

    def integers(self, codes: Tensor, scales: Tensor) -> IntegerMatrix:
        weights = self.values.int().to(codes.device)[codes.int()]
        empty = (weights == 0).all(-1)
        fraction, exponent = torch.frexp(scales.float())  # fraction in [0.5, 1), of 8 bits
        return IntegerMatrix(
            weights=weights,
            mant=(fraction * 256).int().masked_fill(empty, 128),
            exp=(exponent - 8).masked_fill(empty, 0),
        )

    def problem(self, codes: Tensor, scales: Tensor) -> str | None:
        if not bool((torch.isfinite(scales) & (scales >= 0)).all()):
            return "a row scale is negative or not finite"
        weights = self.values.to(codes.device)[codes.int()]
        if bool((weights.abs() > self.limit).any()):
            return f"a code lies outside -{self.limit}..{self.limit}"
        if bool(((scales == 0) & (weights != 0).any(-1)).any()):
            return "a row that is not zero has scale 0"
        return None


class TernaryFormat(RowFormat):
    """Codes -1, 0 and 1, the scale the mean magnitude."""

    def scales(self, w: Tensor) -> Tensor:
        return stored(w.abs().mean(-1, dtype=torch.float64).float()).masked_fill((w == 0).all(-1), 0)


def stored(wanted: Tensor) -> Tensor:
    """Scales as they are stored, none of them 0."""
    return wanted.clamp(SMALLEST_SCALE, LARGEST_SCALE).bfloat16()


def in_scales(w: Tensor, scales: Tensor) -> Tensor:
    """`w` [..., rows, cols] over the scale of its row.

    A quotient never rounds onto a tie that it only comes close to: the tie times the scale has few bits, so it is a
    float32, and w lies at least one unit in the last place beside it, over half a unit of the quotient.
    """
    return w / scales.float().clamp(SMALLEST_SCALE)[..., None]
