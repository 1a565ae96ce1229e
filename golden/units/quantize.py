"""Fixed-point vector to int8 activation packet with one power-of-two scale."""

from dataclasses import dataclass

from torch import Tensor

from golden.units.fixed import FIXED, FixedPoint, bit_length
from golden.units.rounding import round_shift

__all__ = ["Quantize"]


@dataclass(frozen=True)
class Quantize:
    """q = clip(round_shift(x, scale), -127, 127), scale = max(0, bitlen(max |x|) - 7), over the last axis."""

    word: FixedPoint = FIXED
    width: int = 8

    @property
    def limit(self) -> int:
        return (1 << (self.width - 1)) - 1

    @property
    def scale_width(self) -> int:
        return (self.word.width - self.width + 1).bit_length()

    def compute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[..., n], int64 or float64, to (q [..., n], scale [..., 1]), of the same dtype."""
        scale = (bit_length(x.abs().amax(-1, keepdim=True)) - (self.width - 1)).clamp(min=0)
        return round_shift(x, scale).clamp(-self.limit, self.limit), scale
