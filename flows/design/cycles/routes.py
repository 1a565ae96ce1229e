"""Which experts the tokens of a pass meet, where no model says it."""

import numpy as np

from hardloom.flows.design.cycles.experts import Routes

__all__ = ["likely_routes"]


def likely_routes(num_experts: int, top_k: int, imbalance: float, positions: int, seed: int = 0) -> Routes:
    """Experts of each position, drawn: the busiest is met `imbalance` times as often as the mean, the others less and
    less. Which is the busiest, and who meets whom, is chance, the same for the same seed.

    imbalance: at least 1; cut to what has the busiest met by all positions.
    """
    draw = np.random.default_rng(seed)
    share = draw.permutation(popularity(num_experts, top_k, imbalance))
    orders = np.argsort(draw.random((positions, num_experts)), axis=1)
    ends = np.cumsum(share[orders], axis=1) + draw.random((positions, 1))
    met = np.floor(ends) > np.floor(ends - share[orders])  # exactly top_k of each, an expert as often as its share
    return [order[row][:top_k].tolist() for order, row in zip(orders, met, strict=True)]


def popularity(num_experts: int, top_k: int, imbalance: float) -> np.ndarray:
    """Share of the positions that meets each expert, the busiest first: a straight line to what balances it, or to 0
    where that is enough experts that are met at all. float64 [experts], `top_k` in sum."""
    mean = top_k / num_experts
    most = min(imbalance * mean, 1.0)
    if most <= 2 * mean:
        return np.linspace(most, 2 * mean - most, num_experts)
    met = round(2 * top_k / most) - 1
    line = np.linspace(most, 0, met + 1)[:-1]
    return np.concatenate((line * top_k / line.sum(), np.zeros(num_experts - met)))
