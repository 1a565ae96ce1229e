"""Router: softmax over all experts, the bias added to it, the k best sums; the sums are the weights."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from golden.errors import UserError
from golden.units.fixed import FixedPoint
from golden.units.softmax import SoftmaxNumerator
from golden.units.table import Reciprocal

__all__ = ["Router"]

MOST_BIASED = 512
"""Experts a token that the sum of biased weights times results stays below 2^60 for: 25 and 28 bits a term."""


@dataclass(frozen=True)
class Router:
    """score = softmax(logits) + bias with 16 fraction bits; the k largest are chosen, ties to the lowest index.

    A chosen expert's weight is its score, bias included and not renormalised, as in the published code. Without a bias
    it is a probability; with one it may be negative or above 1.

    Parameters
    ----------
    num_experts, top_k: all experts, and those a token takes.
    biased: the model has expert biases, of 24 bits with 16 fraction bits.

    Raises
    ------
    UserError: `biased` and a `top_k` above 512.
    """

    num_experts: int
    top_k: int
    biased: bool = False
    bias_width: int = 24
    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)
    reciprocal: Reciprocal = field(default=Reciprocal(), repr=False)

    def __post_init__(self) -> None:
        if self.biased and self.top_k > MOST_BIASED:
            raise UserError(
                f"num_experts_per_tok {self.top_k} is more than the {MOST_BIASED} experts a token that are supported "
                "where the router has an expert bias; give another checkpoint"
            )

    @property
    def weight_width(self) -> int:
        """Bits of a weight: 25 with a sign where the model has biases, 17 without one where it has none."""
        return self.bias_width + 1 if self.biased else self.numerator.exp2.out_frac + 1

    def biases(self, bias: Tensor) -> Tensor:
        """float [num_experts] to the int64 constants of the hardware; raises as `FixedPoint.constants` does."""
        return FixedPoint(self.bias_width, self.numerator.exp2.out_frac).constants(bias, "an expert bias")

    def probabilities(self, logits: Tensor) -> Tensor:
        """int64 [..., num_experts], 0 to 65536."""
        e = self.numerator.compute(logits)
        r, bits = self.reciprocal.compute(e.sum(-1, keepdim=True))
        shift = bits - 1
        return (e * r + (1 << (shift - 1))) >> shift

    def compute(self, logits: Tensor, biases: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """logits int64 [..., num_experts], biases int64 [num_experts]; (experts, weights) int64 [..., top_k]."""
        score = self.probabilities(logits)
        if biases is not None:
            score = score + biases
        order = torch.sort(score, dim=-1, descending=True, stable=True).indices[..., : self.top_k]
        return order, score.gather(-1, order)
