"""Head gain and rotary position embedding, rotate-half convention."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.gain import Gain

__all__ = ["Rope"]


@dataclass(frozen=True)
class Rope:
    """x * gain, then rotation of the pairs (i, i + head_dim/2) by position * theta^(-2i/head_dim).

    Where embedding turns a part of a head alone, `head_dim` is that of the part (`rotary_dim`).

    Gains have 20 bits with 14 fraction bits; cosines and sines 16 bits with 14. Each of the two steps is rounded and
    saturated to `word`.
    """

    head_dim: int
    theta: float
    word: FixedPoint = FIXED
    frac: int = 14
    gain_width: int = 20

    @property
    def gain(self) -> Gain:
        """The first step."""
        return Gain(self.word, self.frac, self.gain_width)

    def gains(self, gain: Tensor) -> Tensor:
        """float [head_dim] to the int64 constants of the hardware; raises as `FixedPoint.constants` does."""
        return FixedPoint(self.gain_width, self.frac).constants(gain, "a gain of q or k")

    def angles(self, positions: int) -> tuple[Tensor, Tensor]:
        """(cos, sin) as int64 [positions, head_dim/2]."""
        rows = [
            [p * self.theta ** (-2 * i / self.head_dim) for i in range(self.head_dim // 2)] for p in range(positions)
        ]
        one = 1 << self.frac
        cos = [[round(math.cos(a) * one) for a in row] for row in rows]
        sin = [[round(math.sin(a) * one) for a in row] for row in rows]
        return torch.tensor(cos, dtype=torch.int64), torch.tensor(sin, dtype=torch.int64)

    def scaled(self, x: Tensor, gains: Tensor) -> Tensor:
        """x int64 [..., elements] times its gains int64 [elements]."""
        return self.gain.compute(x, gains)

    def rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x int64 [..., head_dim], cos and sin int64 [..., head_dim/2]."""
        first, second = x.chunk(2, dim=-1)
        turned = x * torch.cat([cos, cos], -1)
        turned.addcmul_(torch.cat([second, first], -1), torch.cat([-sin, sin], -1))
        return self.word.round(turned, self.frac)

    def compute(self, x: Tensor, gains: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Both steps: x int64 [..., head_dim], gains int64 [head_dim], cos and sin int64 [..., head_dim/2]."""
        return self.rotate(self.scaled(x, gains), cos, sin)
