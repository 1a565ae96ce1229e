"""Router: softmax over all experts, the k best, weights as they are."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from golden.units.softmax import SoftmaxNumerator
from golden.units.table import Reciprocal

__all__ = ["Router"]


@dataclass(frozen=True)
class Router:
    """p = softmax(logits) with 16 fraction bits; selection by p + bias, ties to the lowest index.

    Biases have 24 bits with 16 fraction bits. Weights are the unbiased p, not renormalised.
    """

    num_experts: int
    top_k: int
    bias_width: int = 24
    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)
    reciprocal: Reciprocal = field(default=Reciprocal(), repr=False)

    def biases(self, bias: Tensor) -> Tensor:
        """float [num_experts] to the int64 constants of the hardware."""
        limit = (1 << (self.bias_width - 1)) - 1
        return torch.floor(bias.double() * 65536 + 0.5).clamp(-limit, limit).to(torch.int64)

    def probabilities(self, logits: Tensor) -> Tensor:
        """int64 [..., num_experts], 0 to 65536."""
        e = self.numerator.compute(logits)
        r, bits = self.reciprocal.compute(e.sum(-1, keepdim=True))
        shift = bits - 1
        return (e * r + (1 << (shift - 1))) >> shift

    def compute(self, logits: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        """logits int64 [..., num_experts], biases int64 [num_experts]; (experts, weights) int64 [..., top_k]."""
        p = self.probabilities(logits)
        order = torch.sort(p + biases, dim=-1, descending=True, stable=True).indices[..., : self.top_k]
        return order, p.gather(-1, order)
