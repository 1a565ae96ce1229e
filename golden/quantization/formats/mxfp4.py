"""MXFP4 of the OCP Microscaling Formats (MX) Specification v1.0: E2M1 elements, one E8M0 scale per 32 columns.

- Scale of a block: 2^(floor(log2(largest magnitude)) - 2), clamped to E8M0's range, 2^-127..2^127; stored plus 127.
- Element: w / scale rounded to the nearest E2M1 value, ties to the even code, saturating at 6; the sign is kept, also
  of an element that rounds to zero (code 8).
- A block of zeros has codes 0 and scale 2^-127. The last block of a row is shorter where 32 does not divide cols.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from golden.errors import UserError
from golden.quantization.formats.base import Format
from golden.quantization.integers import MAX_SPREAD, IntegerMatrix

__all__ = ["BLOCK", "MXFP4"]

BLOCK = 32
BIAS = 127  # of E8M0, and of float32
NAN_SCALE = 255
LARGEST_EXPONENT = 2  # floor(log2(6))
SIGN = 8

MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# A magnitude has the code of how many of these it exceeds. Half-way points round to the even code, so those below an
# even code belong to it, and what must be exceeded there is the float32 just below.
HALF_WAY = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
HALF_WAY[1::2] = torch.nextafter(HALF_WAY[1::2], torch.tensor(0.0))


class MXFP4(Format):
    """See the module."""

    name = "mxfp4"
    largest = 6.0
    scale_dtype = torch.uint8
    values = torch.tensor([*MAGNITUDES, *(-m for m in MAGNITUDES)])

    def quantize(self, w: Tensor) -> tuple[Tensor, Tensor]:
        cols = w.shape[-1]
        blocks = pad(w, (0, -cols % BLOCK)).unflatten(-1, (-1, BLOCK))
        largest = blocks.abs().amax(-1)
        exponent = torch.frexp(largest).exponent - 1 - LARGEST_EXPONENT  # frexp's mantissa is in [0.5, 1)
        exponent = exponent.masked_fill(largest == 0, -BIAS).clamp(-BIAS, BIAS)
        # Multiplying by 2^-exponent is exact in float32, save for results so small that they round to zero anyway.
        scaled = blocks * ((BIAS - exponent) << 23).view(torch.float32)[..., None]
        codes = torch.bucketize(scaled.abs(), HALF_WAY.to(w.device), out_int32=True).to(torch.uint8)
        codes |= (torch.signbit(scaled) & (largest != 0)[..., None]).to(torch.uint8) * SIGN
        return codes.flatten(-2)[..., :cols].contiguous(), (exponent + BIAS).to(torch.uint8)

    def scale_shape(self, rows: int, cols: int) -> tuple[int, ...]:
        return rows, -(-cols // BLOCK)

    def scale_values(self, scales: Tensor, cols: int) -> Tensor:
        exponent_bits = torch.where(scales > 0, scales.int() << 23, 1 << 22)  # 2^-127 is a denormal number
        return exponent_bits.view(torch.float32).repeat_interleave(BLOCK, -1)[..., :cols]

    def integers(self, codes: Tensor, scales: Tensor) -> IntegerMatrix:
        """Raises `UserError` where the exponents of a row's blocks that are not all zero differ by over 16."""
        rows, cols = codes.shape
        twice = (2 * self.values).int().to(codes.device)[codes.int()]
        used = pad(twice, (0, -cols % BLOCK)).unflatten(-1, (-1, BLOCK)).ne(0).any(-1)
        exponent = scales.int()
        lowest = exponent.masked_fill(~used, NAN_SCALE).amin(-1)
        spread = (exponent.masked_fill(~used, 0).amax(-1) - lowest).clamp(min=0)
        if rows and int(spread.max()) > MAX_SPREAD:
            row = int(spread.argmax())
            raise UserError(
                f"row {row} has block exponents that spread by {int(spread[row])}, and a hardwired array holds at most "
                f"{MAX_SPREAD}; bring the row's weights closer in size or use the format int4"
            )
        shift = (exponent - lowest[:, None]).masked_fill(~used, 0).repeat_interleave(BLOCK, -1)[:, :cols]
        return IntegerMatrix(
            weights=twice << shift,
            mant=torch.full((rows,), 128, dtype=torch.int32, device=codes.device),
            exp=(lowest - BIAS - 1 - 7).masked_fill(~used.any(-1), 0),
            max_spread=int(spread.max()) if rows else 0,
        )

    def problem(self, codes: Tensor, scales: Tensor) -> str | None:
        return "a block scale is NaN (255)" if bool((scales == NAN_SCALE).any()) else None
