"""Router: scores of all experts, which of them a token may choose, the k best, and their weights."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.table import Reciprocal, Sigmoid

__all__ = ["SCALE_FRAC", "Router"]


SCALE_FRAC = 14
"""Fraction bits of the factor of all weights."""

BARRED = -(1 << 32)
"""Less than any score + bias."""


@dataclass(frozen=True)
class Router:
    """The k experts of the largest score + bias with 16 fraction bits, ties to the lowest index, and their weights.

    Scores are a softmax over all experts, or a sigmoid of each logit. An expert can be chosen if its group is one of
    the token's best, by the sum of a group's two best score + bias, and if it is one of those that the token's block
    admits, by the largest score + bias of the block's tokens; groups and experts that tie go by the lowest index.

    A chosen expert's weight is its score, bias included where that is `mixed`; divided by the sum of the chosen ones
    where weights are `renormalised`, times `scale`, and rounded once. As in LLaDA-MoE's published code by default:
    without a bias a weight is a probability; with one it may be negative or above 1.

    Parameters
    ----------
    num_experts, top_k: all experts, and those a token takes.
    biased: the model has expert biases, of 24 bits with 16 fraction bits. mixed: they are in the weights, too.
    score: `softmax` or `sigmoid`.
    groups, top_groups: equal runs of experts, and those of them that a token may choose from.
    capacity, block_length: experts that a block of so many positions may use, from position 0 on; 0: all.
    renormalised, scale: of weights; scale below 2^10, with 14 fraction bits.

    Raises
    ------
    UserError: mixed biases and a `top_k` above `most_biased`, renormalised, or scaled; a `scale` that is not
        positive or 2^10 or above.
    """

    num_experts: int
    top_k: int
    biased: bool = False
    mixed: bool = True
    score: str = "softmax"
    groups: int = 1
    top_groups: int = 1
    capacity: int = 0
    block_length: int = 1
    renormalised: bool = False
    scale: float = 1.0
    bias_width: int = 24
    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)
    reciprocal: Reciprocal = field(default=Reciprocal(), repr=False)
    sigmoid: Sigmoid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmoid", Sigmoid(self.numerator.word.frac, limit=16))
        if not 0 < self.scale < 1 << 10:
            raise UserError(f"the scale of the router's weights is {self.scale:g}; it must lie between 0 and 1024")
        if self.biased and self.mixed and (self.renormalised or self.scale != 1):
            raise UserError(
                "weights that have an expert bias in them are not renormalised, for their sum may be zero, nor scaled"
            )
        if self.biased and self.mixed and self.top_k > self.most_biased:
            raise UserError(
                f"num_experts_per_tok {self.top_k} is more than the {self.most_biased} experts a token that words of "
                f"{self.numerator.word.width} bits have room for where the router has an expert bias; "
                "give another checkpoint or a narrower word"
            )

    @property
    def most_biased(self) -> int:
        """Experts a token for which the sum of biased weights times results is 2^62 at most."""
        return 1 << (62 - (self.weight_width - 1) - (self.numerator.word.width - 1))

    @property
    def weight_width(self) -> int:
        """Bits of a weight: 25 with a sign where biases are mixed in, else 17 without, more for a `scale` above 1."""
        if self.biased and self.mixed:
            return self.bias_width + 1
        return (round(65536 * self.scale) + 1).bit_length()

    def biases(self, bias: Tensor) -> Tensor:
        """float [num_experts] to the int64 constants of the hardware; raises as `FixedPoint.constants` does."""
        return FixedPoint(self.bias_width, self.numerator.exp2.out_frac).constants(bias, "an expert bias")

    def probabilities(self, logits: Tensor) -> Tensor:
        """[..., num_experts], 0 to 65536, int64 or float64 as `logits`."""
        e = self.numerator.compute(logits)
        r, bits = self.reciprocal.compute(e.sum(-1, keepdim=True))
        return round_shift(e, bits - 1, factor=r)

    def scores(self, logits: Tensor) -> Tensor:
        """[..., num_experts], 0 to 65536, int64 or float64 as `logits`."""
        return self.probabilities(logits) if self.score == "softmax" else self.sigmoid.compute(logits)

    def compute(self, logits: Tensor, biases: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """logits [..., positions, num_experts], int64 or float64, biases int64 [num_experts]; (experts, weights) int64
        [..., positions, top_k]. Without a `capacity`, the axis of positions may be missing."""
        score = self.scores(logits).long()
        ranking = score if biases is None else score + biases
        barred = ~(self.in_best_groups(ranking) & self.admitted(ranking))
        chosen = best(ranking.masked_fill(barred, BARRED), self.top_k)
        return chosen, self.weights((ranking if self.mixed else score).gather(-1, chosen))

    def in_best_groups(self, ranking: Tensor) -> Tensor:
        """Which experts the token's best groups hold, bool like `ranking`."""
        if self.top_groups == self.groups:
            return torch.ones_like(ranking, dtype=torch.bool)
        groups = ranking.unflatten(-1, (self.groups, -1))
        size = groups.shape[-1]
        totals = groups.sort(-1, descending=True).values[..., :2].sum(-1)
        return marked(totals, best(totals, self.top_groups)).repeat_interleave(size, -1)

    def admitted(self, ranking: Tensor) -> Tensor:
        """Which experts the token's block admits, bool like `ranking`."""
        if not self.capacity:
            return torch.ones_like(ranking, dtype=torch.bool)
        blocks = []
        for block in ranking.split(self.block_length, -2):
            largest = block.amax(-2, keepdim=True)
            blocks.append(marked(largest, best(largest, self.capacity)).expand_as(block))
        return torch.cat(blocks, -2)

    def weights(self, chosen: Tensor) -> Tensor:
        """Scores of the chosen experts, int64 [..., top_k], to their weights."""
        scale = round(self.scale * (1 << SCALE_FRAC))
        if not self.renormalised:
            return chosen if self.scale == 1 else round_shift(chosen * scale, SCALE_FRAC)
        r, bits = self.reciprocal.compute(chosen.sum(-1, keepdim=True).clamp(min=1))
        return round_shift(chosen * r * scale, bits - 1 + SCALE_FRAC)


def best(values: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest of the last axis, ties to the lowest index."""
    size = values.shape[-1]
    distinct = values * size - torch.arange(size, device=values.device)
    return distinct.topk(min(count, size)).indices


def marked(like: Tensor, indices: Tensor) -> Tensor:
    """bool of the shape of `like`, true at `indices` of the last axis."""
    return torch.zeros_like(like, dtype=torch.bool).scatter(-1, indices, True)
