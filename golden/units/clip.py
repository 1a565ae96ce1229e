"""Elements clamped between two bounds of equal size."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """y = min(max(x, -bound), bound).

    limit: as in `clip_qkv`, not negative; one beyond the word clips nothing but the word's least number.
    """

    limit: float
    word: FixedPoint = FIXED

    @property
    def bound(self) -> int:
        limit = min(self.limit, self.word.max / (1 << self.word.frac))
        return int(self.word.constants(torch.tensor(limit, dtype=torch.float64), "clip_qkv"))

    def compute(self, x: Tensor) -> Tensor:
        """[..., elements], int64 or float64, to the same."""
        bound = self.bound
        return x.clamp(-bound, bound)
