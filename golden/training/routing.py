"""What training asks of routers: load balance and z-loss; and what becomes of both, and of the experts' shares."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hardloom.golden.models.float_model import FloatModel, Routing
from hardloom.golden.shape import ExpertsShape

__all__ = ["BALANCE_WEIGHT", "Z_WEIGHT", "RouterLosses", "experts_of", "router_losses"]

BALANCE_WEIGHT, Z_WEIGHT = 0.01, 0.001


@dataclass(frozen=True)
class RouterLosses:
    """Of one layer.

    Attributes
    ----------
    balance: experts * sum of load share * mean share of the scores; 1 where both are even. z: mean square of the
        logarithm of the sum of exponentials of the logits. Both scalars.
    load: share of the tokens that each expert serves, [experts], sum k.
    """

    balance: Tensor
    z: Tensor
    load: Tensor

    @property
    def weighted(self) -> Tensor:
        """What is added to the loss of the tokens."""
        return BALANCE_WEIGHT * self.balance + Z_WEIGHT * self.z


def experts_of(model: FloatModel) -> list[ExpertsShape]:
    """Of the layers that have experts."""
    return [layer.mlp for layer in model.shape.layers if isinstance(layer.mlp, ExpertsShape)]


def router_losses(routing: Routing, experts: ExpertsShape) -> RouterLosses:
    """Of the tokens of a pass."""
    logits = routing.logits
    if experts.score == "softmax":
        share = logits.softmax(-1)
    else:
        share = logits.sigmoid()
        share = share / share.sum(-1, keepdim=True)
    load = F.one_hot(routing.chosen, experts.num_experts).sum(1).float().mean(0)
    balance = experts.num_experts * (load / experts.top_k * share.mean(0)).sum()
    return RouterLosses(balance, torch.logsumexp(logits, -1).square().mean(), load)
