"""Formats of the OCP Microscaling Formats (MX) Specification v1.0: elements of few bits, an E8M0 scale per 32 columns.

`mxfp4` has E2M1 elements, `mxfp6_e2m3` and `mxfp6_e3m2` E2M3 and E3M2.

- Scale of a block: 2^(floor(log2(largest magnitude)) - floor(log2(largest element))), or twice of it where that has the
  smaller sum of squared errors (in float32, halves of the block added up); at least 2^-127, and no more than float32
  holds the largest element times it; stored as its exponent plus 127.
- Element: w / scale rounded to the nearest one, ties to the even code, saturating; the sign is kept, also of a negative
  number that rounds to zero.
- A block of zeros has codes 0 and scale 2^-127. The last block of a row is shorter where 32 does not divide cols.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from hardloom.golden.errors import UserError
from hardloom.golden.quantization.formats.base import Format, sum_of_squares
from hardloom.golden.quantization.integers import MAX_SPREAD, IntegerMatrix

__all__ = ["BLOCK", "Microscaling"]

BLOCK = 32
BIAS = 127  # of E8M0, and of float32
NAN_SCALE = 255
MANTISSA_BITS = 23  # of float32
EXPONENT_FIELD = 0xFF << MANTISSA_BITS


class Microscaling(Format):
    """See the module. Elements have a sign, `exponent_bits` and `mantissa_bits`; no code is infinite or NaN."""

    block = BLOCK
    scale_dtype = torch.uint8

    def __init__(self, name: str, exponent_bits: int, mantissa_bits: int):
        self.name = name
        self.bits = 1 + exponent_bits + mantissa_bits
        self.mantissa_bits = mantissa_bits
        smallest_normal = 2 - (1 << (exponent_bits - 1))  # 1 - bias, exponent
        self.unit_exponent = smallest_normal - mantissa_bits
        self.largest_exponent = smallest_normal + (1 << exponent_bits) - 2
        self.smallest_normal = 2.0**smallest_normal
        ones, mantissas = 1 << mantissa_bits, range(1 << mantissa_bits)
        magnitudes = [*mantissas]
        for shift in range((1 << exponent_bits) - 1):
            magnitudes += [(ones + mantissa) << shift for mantissa in mantissas]
        self.units = magnitudes[-1]
        self.units_of = torch.tensor([*magnitudes, *(-units for units in magnitudes)], dtype=torch.int32)  # by code
        self.code_of = torch.zeros(self.units + 1, dtype=torch.uint8)  # by units
        self.code_of[magnitudes] = torch.arange(len(magnitudes), dtype=torch.uint8)
        self.values = self.units_of * 2.0**self.unit_exponent
        self.largest = self.units * 2.0**self.unit_exponent

    def scales(self, w: Tensor) -> Tensor:
        blocks = pad(w, (0, -w.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK)).abs()
        largest = blocks.amax(-1)
        first = torch.frexp(largest).exponent - 1 - self.largest_exponent  # frexp's mantissa is in [0.5, 1)
        first = first.masked_fill(largest == 0, -BIAS).clamp(-BIAS)
        above = (first + 1).clamp(max=BIAS - self.largest_exponent)
        better = torch.ldexp(self._loss(blocks, above), 2 * (above - first)) < self._loss(blocks, first)
        return (torch.where(better, above, first) + BIAS).to(torch.uint8)

    def encode(self, w: Tensor, scales: Tensor) -> Tensor:
        exponent = (scales.int() - BIAS).repeat_interleave(BLOCK, -1)[..., : w.shape[-1]]
        units = self._nearest(w.abs() * power_of_two(-exponent)) * 2.0**-self.unit_exponent
        codes = self.code_of.to(w.device).index_select(0, units.int().flatten()).view(w.shape)
        return codes | (w < 0).to(torch.uint8) << (self.bits - 1)

    def _nearest(self, magnitudes: Tensor) -> Tensor:
        """Float32 of any size, not negative, as the nearest elements.

        What is added and taken away again has as its last bit the last bit of an element of the magnitude's size.
        """
        magnitudes = magnitudes.clamp(max=self.largest)
        power = (magnitudes.view(torch.int32) & EXPONENT_FIELD).view(torch.float32).clamp(min=self.smallest_normal)
        anchor = power * (1.5 * 2.0 ** (MANTISSA_BITS - self.mantissa_bits))
        return (magnitudes + anchor) - anchor

    def _loss(self, blocks: Tensor, exponent: Tensor) -> Tensor:
        """Sums of squared errors of blocks of magnitudes under exponents, over the scale's square: [..., blocks]."""
        # Multiplying by 2^-exponent is exact in float32, save for results so small that they round to zero anyway.
        scaled = blocks * power_of_two(-exponent)[..., None]
        return sum_of_squares(scaled - self._nearest(scaled))

    def scale_shape(self, rows: int, cols: int) -> tuple[int, ...]:
        return rows, -(-cols // BLOCK)

    def scale_values(self, scales: Tensor, cols: int) -> Tensor:
        return power_of_two(scales.int() - BIAS).repeat_interleave(BLOCK, -1)[..., :cols]

    def integers(self, codes: Tensor, scales: Tensor) -> IntegerMatrix:
        """Raises `UserError` where the exponents of a row's blocks that are not all zero differ by over 16."""
        rows, cols = codes.shape
        units = self.units_of.to(codes.device)[codes.int()]
        used = pad(units, (0, -cols % BLOCK)).unflatten(-1, (-1, BLOCK)).ne(0).any(-1)
        exponent = scales.int()
        lowest = exponent.masked_fill(~used, NAN_SCALE).amin(-1)
        spread = (exponent.masked_fill(~used, 0).amax(-1) - lowest).clamp(min=0)
        if rows and int(spread.max()) > MAX_SPREAD:
            row = int(spread.argmax())
            raise UserError(
                f"row {row} has block exponents that spread by {int(spread[row])}, and a hardwired array holds at most "
                f"{MAX_SPREAD}; bring the row's weights closer in size or use the format int4 or int8"
            )
        shift = (exponent - lowest[:, None]).masked_fill(~used, 0).repeat_interleave(BLOCK, -1)[:, :cols]
        return IntegerMatrix(
            weights=units << shift,
            mant=torch.full((rows,), 128, dtype=torch.int32, device=codes.device),
            exp=(lowest - BIAS + self.unit_exponent - 7).masked_fill(~used.any(-1), 0),
            max_spread=int(spread.max()) if rows else 0,
        )

    def problem(self, codes: Tensor, scales: Tensor) -> str | None:
        return "a block scale is NaN (255)" if bool((scales == NAN_SCALE).any()) else None


def power_of_two(exponent: Tensor) -> Tensor:
    """2^exponent in float32, for int32 exponents from -127 (a denormal number) to 127."""
    return torch.where(exponent > -BIAS, (exponent + BIAS) << MANTISSA_BITS, 1 << (MANTISSA_BITS - 1)).view(
        torch.float32
    )
