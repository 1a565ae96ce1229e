"""`int4` and `ternary`: symmetric integer codes in two's complement, one bfloat16 scale a row.

- Scale of a row: `int4` its largest magnitude / 7, `ternary` the mean of its magnitudes (summed in float64), rounded to
  float32, then to bfloat16, both to nearest even, at least 2^-133 (the smallest bfloat16) in a row that is not zero.
- Code: w / scale rounded to the nearest integer, ties to even, saturating at -7..7 (`int4`) or -1..1 (`ternary`).
- A row of zeros has codes 0 and scale 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from golden.quantization.formats.base import Format
from golden.quantization.integers import IntegerMatrix

__all__ = ["RowFormat", "largest_over_7", "mean_magnitude"]

SMALLEST_SCALE = 2.0**-133
LARGEST_SCALE = torch.finfo(torch.bfloat16).max


class RowFormat(Format):
    """Codes -limit..limit, and `scale_rule` from float32 [..., cols] to the wanted scale, float32 [...]."""

    scale_dtype = torch.bfloat16

    def __init__(self, name: str, limit: int, scale_rule: Callable[[Tensor], Tensor]):
        self.name = name
        self.largest = float(limit)
        self.limit = limit
        self.scale_rule = scale_rule
        self.values = torch.tensor([*range(8), *range(-8, 0)], dtype=torch.float32)

    def quantize(self, w: Tensor) -> tuple[Tensor, Tensor]:
        wanted = self.scale_rule(w).clamp(SMALLEST_SCALE, LARGEST_SCALE).bfloat16()
        scales = wanted.masked_fill((w == 0).all(-1), 0)
        # A quotient never rounds onto a tie that it only comes close to: the tie times the scale has few bits, so it is
        # a float32, and w lies at least one unit in the last place beside it, over half a unit of the quotient.
        codes = (w / wanted.float()[..., None]).round().clamp(-self.limit, self.limit)
        return codes.to(torch.int8).view(torch.uint8) & 15, scales

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


def largest_over_7(w: Tensor) -> Tensor:
    """The scale that `int4` wants of each row."""
    return w.abs().amax(-1) / 7


def mean_magnitude(w: Tensor) -> Tensor:
    """The scale that `ternary` wants of each row."""
    return w.abs().mean(-1, dtype=torch.float64).float()
