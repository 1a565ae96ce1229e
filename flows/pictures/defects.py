"""The picture of `hardloom verify --faults N --accuracy`: answers over defects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import matplotlib.pyplot as plt

from hardloom.flows.pictures.save import save

__all__ = ["plot_defects"]

COLOURS = ("#1f5fa8", "#d9480f")
LEFT = 0.7
"""Where chips without a defect stand on the axis, which is logarithmic."""


class Shown(Protocol):
    """Chips with `count` defects each: shares of problems that they answer, and the mean of these."""

    @property
    def count(self) -> int: ...

    @property
    def shares(self) -> list[float]: ...

    @property
    def mean(self) -> float: ...


def plot_defects(points: Mapping[str, Sequence[Shown]], sound: float, path: Path) -> None:
    """Write `path`, PNG or SVG: a line a kind of defect through the means, a dot a chip; `sound`: without a defect."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for (kind, found), colour in zip(points.items(), COLOURS, strict=True):
        axes.plot([LEFT, *(p.count for p in found)], [100 * sound, *(100 * p.mean for p in found)], color=colour)
        counts, shares = [p.count for p in found for _ in p.shares], [100 * share for p in found for share in p.shares]
        axes.plot(counts, shares, "o", markersize=4, color=colour, alpha=0.5)
        end = found[-1].count, 100 * found[-1].mean
        axes.annotate(kind, end, (-10, 4), textcoords="offset points", color=colour, ha="right")
    axes.set(xscale="log", xlabel="defects at once, one chip", ylabel="answered exactly, %", ylim=(-3, 103))
    axes.set_title("Every dot is a chip with random defects")
    axes.grid(True, alpha=0.3)
    save(figure, path, dpi=110, svg_text=True)
