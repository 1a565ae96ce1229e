"""Attention of one head: int8 scores, exponentials by table, weighted sum of int8 values."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from golden.units.fixed import FIXED, SCORE, FixedPoint
from golden.units.rounding import round_shift
from golden.units.table import LOG2E_FRAC, Exp2, Reciprocal

__all__ = ["Attention"]


@dataclass(frozen=True)
class Attention:
    """softmax(q k^T / sqrt(head_dim)) v; every position sees every position, or its own block and those before it.

    block_length: of such blocks, counted from position 0; None: every position.
    Accumulators (`num`, `den`) are exact; see docs/numeric.md, unit 7, for each rounding.
    """

    head_dim: int
    block_length: int | None = None
    word: FixedPoint = FIXED
    score: FixedPoint = SCORE
    exp2: Exp2 = field(default=Exp2(), repr=False)
    reciprocal: Reciprocal = field(default=Reciprocal(), repr=False)

    @property
    def scale(self) -> int:
        """log2(e) / sqrt(head_dim) with 14 fraction bits."""
        return round(math.log2(math.e) / math.sqrt(self.head_dim) * 2**LOG2E_FRAC)

    @property
    def score_shift(self) -> int:
        """Right shift of dot * scale before the scales of q and k are taken off."""
        return 2 * self.word.frac + LOG2E_FRAC - self.score.frac

    def seen(self, positions: int, device: torch.device) -> Tensor:
        """Which positions (columns) each position (row) sees, bool [positions, positions]."""
        block = torch.arange(positions, device=device) // (self.block_length or positions)
        return block[:, None] >= block

    def scores(self, q: Tensor, q_scale: Tensor, k: Tensor, k_scale: Tensor) -> Tensor:
        """q, k int64 [..., positions, head_dim], scales [..., positions, 1]; int64 [..., positions, positions]."""
        dot = torch.matmul(q.double(), k.double().transpose(-1, -2)).to(torch.int64)
        return self.score.round(dot * self.scale, self.score_shift - q_scale - k_scale.transpose(-1, -2))

    def mix(self, t: Tensor, v: Tensor, v_scale: Tensor) -> Tensor:
        """Scores [..., positions, positions] and values [..., positions, head_dim] to fixed-point outputs."""
        seen, v_scale = self.seen(t.shape[-1], t.device), v_scale.transpose(-1, -2)
        largest = t.masked_fill(~seen, self.score.min).amax(-1, keepdim=True)
        e = self.exp2.compute((largest - t).clamp(min=0)) * seen
        top = torch.where(seen, v_scale, 0).amax(-1, keepdim=True)
        w = round_shift(e, (top - v_scale).clamp(min=0))
        num = torch.matmul(w.double(), v.double()).to(torch.int64)
        r, bits = self.reciprocal.compute(e.sum(-1, keepdim=True))
        return self.word.round(num * r, bits + 15 - top)

    def compute(self, q: Tensor, q_scale: Tensor, k: Tensor, k_scale: Tensor, v: Tensor, v_scale: Tensor) -> Tensor:
        """Shapes as in `scores` and `mix`; int64 [..., positions, head_dim]."""
        return self.mix(self.scores(q, q_scale, k, k_scale), v, v_scale)
