"""What became of a training's losses and of the experts' shares, in means of some steps each."""

from dataclasses import dataclass, field
from typing import Any

from hardloom.golden.training.routing import RouterLosses

__all__ = ["History"]

MEAN_OF = 20  # steps of an entry


@dataclass
class History:
    """Entries so far, and the steps since the last one.

    An entry has `step`, the steps done at its end, and means: `cross_entropy` in nats, weighted as the recipe does;
    `balance` and `z` of each layer that has experts, as `RouterLosses`; `shares` of such a layer's assignments that
    each of its experts has, which sum to 1.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    open: list[dict[str, Any]] = field(default_factory=list)

    def add(self, step: int, cross_entropy: float, losses: list[RouterLosses]) -> None:
        """step: steps done with this one."""
        loads = [layer.load / layer.load.sum() for layer in losses]
        self.open.append(
            {
                "cross_entropy": cross_entropy,
                "balance": [layer.balance.item() for layer in losses],
                "z": [layer.z.item() for layer in losses],
                "shares": [load.tolist() for load in loads],
            }
        )
        if len(self.open) == MEAN_OF:
            self.entries.append(
                {"step": step} | {name: mean([one[name] for one in self.open]) for name in self.open[0]}
            )
            self.open = []


def mean(values: list[Any]) -> Any:
    """Of numbers, or of lists of one shape number by number; five digits, so that a file of them is small."""
    if isinstance(values[0], list):
        return [mean(list(group)) for group in zip(*values, strict=True)]
    return float(f"{sum(values) / len(values):.5g}")
