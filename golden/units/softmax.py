"""exp2((x - max) * log2 e): what the router and the head share."""

from dataclasses import dataclass, field

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.table import LOG2E, LOG2E_FRAC, Exp2

__all__ = ["SoftmaxNumerator"]


@dataclass(frozen=True)
class SoftmaxNumerator:
    """Fixed-point logits to exponentials relative to the largest, 16 fraction bits (0 to 65536)."""

    word: FixedPoint = FIXED
    exp2: Exp2 = field(default=Exp2(), repr=False)

    @property
    def shift(self) -> int:
        return self.word.frac + LOG2E_FRAC - self.exp2.frac

    def below(self, difference: Tensor) -> Tensor:
        """Exponential of -difference, difference >= 0 in `word`'s unit."""
        return self.exp2.compute(round_shift(difference, self.shift, factor=LOG2E))

    def compute(self, x: Tensor) -> Tensor:
        """int64 [..., n] to int64 [..., n]."""
        return self.below(x.amax(-1, keepdim=True) - x)
