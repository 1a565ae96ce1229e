"""Fixed-point vector to an activation packet: integers of few bits with one power-of-two scale."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint, largest_bits
from hardloom.golden.units.rounding import round_shift

__all__ = ["Quantize"]


@dataclass(frozen=True)
class Quantize:
    """q = clip(round_shift(x, scale), -limit, limit), scale = max(0, bitlen(max |x|) - width + 1), over the last axis.

    word: of x. width: bits of q, sign included, at least 2 and at most those of the word.
    """

    word: FixedPoint = FIXED
    width: int = 8

    @property
    def limit(self) -> int:
        """Largest magnitude of q; the least integer of `width` bits never occurs."""
        return (1 << (self.width - 1)) - 1

    @property
    def scale_width(self) -> int:
        """Bits of a scale, which is `word.width - width + 1` at most."""
        return (self.word.width - self.width + 1).bit_length()

    def compute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[..., n], int64 or float64, to (q [..., n], scale [..., 1]), of the same dtype."""
        scale = (largest_bits(x) - (self.width - 1)).clamp(min=0)
        return round_shift(x, scale).clamp_(-self.limit, self.limit), scale
