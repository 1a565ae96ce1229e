"""Attention of one head: scores of integers, exponentials by table, weighted sum of integer values."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hardloom.golden.units.exact import exact_matmul, exact_type, scaled
from hardloom.golden.units.fixed import FIXED, SCORE, FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.table import LOG2E_FRAC, Exp2, Reciprocal

__all__ = ["Attention"]

MOST_KEYS = 512
"""Keys up to which a sum of values of 12 bits, times a reciprocal, stays below 2^52."""


@dataclass(frozen=True)
class Attention:
    """softmax(q k^T / sqrt(head_dim)) v; every position sees every position, or its own block and those before it.

    block_length: of such blocks, counted from position 0; None: every position.
    query, key, value: what made the packets of q, k and v.
    Accumulators (`num`, `den`) are exact; see docs/numeric.md, unit 7, for each rounding.
    """

    head_dim: int
    block_length: int | None = None
    word: FixedPoint = FIXED
    score: FixedPoint = SCORE
    query: Quantize = field(default=Quantize())
    key: Quantize = field(default=Quantize())
    value: Quantize = field(default=Quantize())
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

    @property
    def finer(self) -> int:
        """Fraction bits that exponentials are made of beyond those of a score."""
        return self.exp2.frac - self.score.frac

    def seen(self, first: int, queries: int, keys: int, device: torch.device) -> Tensor:
        """Which of `keys` positions (columns) each of `queries` positions from `first` on (rows) sees, bool."""
        block = torch.arange(max(first + queries, keys), device=device) // (self.block_length or keys)
        return block[first : first + queries, None] >= block[:keys]

    def keys_of(self, queries: int, positions: int) -> int:
        """Of a sequence of so many positions, how many the first `queries` of them see."""
        length = self.block_length or positions
        return min(-(-queries // length) * length, positions)

    def scores(self, q: Tensor, q_scale: Tensor, k: Tensor, k_scale: Tensor) -> Tensor:
        """q [..., queries, head_dim], k [..., keys, head_dim], scales [..., 1]; [..., queries, keys]."""
        largest = self.query.limit * self.key.limit
        if q.is_floating_point():  # with the scales in the products: as exact, and fewer passes over all scores
            dtype = exact_type(largest * self.head_dim)
            q, k = scaled(q, q_scale, dtype), scaled(k, k_scale, dtype)
            dot = (q @ k.transpose(-1, -2)).double()
            return self.score.round(dot, self.score_shift, factor=self.scale, out=dot)
        dot = exact_matmul(q, k.transpose(-1, -2), largest).long()
        return self.score.round(dot, self.score_shift - q_scale, -k_scale.transpose(-1, -2), factor=self.scale)

    def mix(self, t: Tensor, v: Tensor, v_scale: Tensor, first: int = 0, top: Tensor | None = None) -> Tensor:
        """Scores [..., queries, keys] and values [..., keys, head_dim] to fixed-point outputs of the queries, which are
        those of the positions from `first` on. top: a scale that is none of `v_scale`'s below, [..., 1, 1], in place of
        the largest of them where all see all."""
        v_scale = v_scale.transpose(-1, -2)
        top = v_scale.amax(-1, keepdim=True) if top is None else top
        if self.block_length is not None:
            unseen = ~self.seen(first, t.shape[-2], t.shape[-1], t.device)
            t = t.masked_fill(unseen, self.score.min)
            top = v_scale.masked_fill(unseen, 0).amax(-1, keepdim=True)
        below = t.amax(-1, keepdim=True) - t
        e = self.exp2.compute(below * 2**self.finer if self.finer else below)
        if self.block_length is not None:
            e = e.masked_fill_(unseen, 0)
        r, bits = self.reciprocal.compute(e.sum(-1, keepdim=True))
        num = exact_matmul(round_shift(e, top, -v_scale, out=e), v, self.exp2.one * self.value.limit)
        wide = torch.int64 if t.shape[-1] > MOST_KEYS else t.dtype
        num = num.to(wide)
        return self.word.round(num, bits + 15 - top, factor=r.to(wide), out=num).to(t.dtype)

    def compute(
        self,
        q: Tensor,
        q_scale: Tensor,
        k: Tensor,
        k_scale: Tensor,
        v: Tensor,
        v_scale: Tensor,
        first: int = 0,
        top: Tensor | None = None,
    ) -> Tensor:
        """Shapes as in `scores` and `mix`; [..., queries, head_dim], int64 or float64 as q, k and v are."""
        return self.mix(self.scores(q, q_scale, k, k_scale), v, v_scale, first, top)
