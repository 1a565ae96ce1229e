"""The gain of a norm behind it: a constant factor an element."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint

__all__ = ["Gain"]


@dataclass(frozen=True)
class Gain:
    """y = sat(round_shift(x * gain, frac)); gains have `width` bits with `frac` fraction bits."""

    word: FixedPoint = FIXED
    frac: int = 12
    width: int = 20

    def constants(self, gain: Tensor) -> Tensor:
        """float [elements] to the int64 constants of the hardware; raises as `FixedPoint.constants` does."""
        return FixedPoint(self.width, self.frac).constants(gain, "a gain")

    def compute(self, x: Tensor, gains: Tensor) -> Tensor:
        """x int64 [..., elements], gains int64 [elements]."""
        return self.word.round(x, self.frac, factor=gains)
