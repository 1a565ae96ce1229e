"""Sum of the chosen experts' outputs by router weight."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint

__all__ = ["Combine"]


@dataclass(frozen=True)
class Combine:
    """y = sat(round_shift(sum_k weight_k * x_k, 16)); the sum is exact, so its order does not matter.

    Weights are those of `golden.units.router.Router`, negative ones included.
    """

    word: FixedPoint = FIXED
    weight_frac: int = 16

    def compute(self, total: Tensor) -> Tensor:
        """total int64 [..., n], the exact weighted sum."""
        return self.word.round(total, self.weight_frac)
