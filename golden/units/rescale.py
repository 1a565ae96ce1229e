"""Array accumulators to fixed-point, by row scale and packet scale."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint

__all__ = ["Rescale"]


@dataclass(frozen=True)
class Rescale:
    """y[j] = sat(round_shift(acc[j] * mant[j], shift[j] - scale)), shift = -exp of the row.

    Widths: mant 8 bits unsigned (128 to 255), shift 9 bits signed, scale 5 bits unsigned.
    """

    word: FixedPoint = FIXED
    mant_width: int = 8
    shift_width: int = 9

    def compute(self, acc: Tensor, mant: Tensor, shift: Tensor, scale: Tensor | int) -> Tensor:
        """acc [..., rows], mant [rows], shift [rows] and scale [..., 1], int64 or float64; to the same as acc."""
        return self.word.round(acc, shift, -scale, factor=mant)
