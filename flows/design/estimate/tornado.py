"""Which assumptions move the answer most: every one at either end of its range, the others and the arrays kept."""

from dataclasses import dataclass
from math import log
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from hardloom.flows.design.estimate.figures import Estimate, moved, value_of
from hardloom.flows.pictures.save import INK, save

__all__ = ["METRICS", "Bar", "bars", "plot_tornado"]

METRICS = {
    "area_um2_per_parameter": "um2 a parameter",
    "tokens_per_s": "tokens a second, projected",
    "tokens_per_joule": "tokens a joule",
    "usd_per_million_tokens": "USD a million tokens",
}
LOW, HIGH = "#2f6f9f", "#d9480f"


@dataclass(frozen=True)
class Bar:
    """One assumption: its ends, and the figure at each."""

    name: str
    kind: str
    ends: tuple[float, float]
    figures: tuple[float, float]

    @property
    def swing(self) -> float:
        """Ratio of the figures, as a logarithm."""
        return abs(log(max(self.figures) / min(self.figures)))


def bars(base: Estimate, metric: str, count: int = 10) -> list[Bar]:
    """The `count` assumptions that move `metric` most, the greatest first."""
    found = []
    for entry in list(base.assumptions.used):
        if entry.low == entry.high:
            continue
        at = [value_of(moved(base, entry.name, end), metric) for end in (entry.low, entry.high)]
        found.append(Bar(entry.name, entry.kind, (entry.low, entry.high), (at[0], at[1])))
    moving = [bar for bar in found if bar.swing > 1e-9]
    return sorted(moving, key=lambda bar: (-bar.swing, bar.name))[:count]


def draw(axes: Axes, base: Estimate, metric: str) -> None:
    centre, rows = value_of(base, metric), bars(base, metric)
    for y, bar in enumerate(rows):
        for value, end, colour in zip(bar.figures, bar.ends, (LOW, HIGH), strict=True):
            axes.barh(y, value - centre, left=centre, height=0.62, color=colour, alpha=0.85)
            if value != centre:
                side = "left" if value > centre else "right"
                axes.annotate(f"{end:.3g}", (value, y), xytext=(3 if side == "left" else -3, 0), ha=side, va="center",
                              textcoords="offset points", fontsize=6.5)  # fmt: skip
    axes.axvline(centre, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [f"{bar.name.replace('_', ' ')} ({bar.kind})" for bar in rows], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.18)
    axes.set_title(f"{METRICS[metric]}: {centre:,.4g}", fontsize=9, loc="left")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def plot_tornado(base: Estimate, path: Path) -> None:
    """Write the plot, PNG or SVG by the name of `path`; same bytes for the same estimate."""
    figure, grid = plt.subplots(2, 2, figsize=(13, 8))
    figure.subplots_adjust(left=0.17, right=0.985, top=0.92, bottom=0.05, hspace=0.22, wspace=0.48)
    for axes, metric in zip(grid.flat, METRICS, strict=True):
        draw(axes, base, metric)
    title = f"{base.shape.name} at {base.request.node}, sampler {base.request.sampler}: ten assumptions that move most"
    figure.suptitle(f"{title} (blue: low end, orange: high end)", fontsize=10)
    save(figure, path, dpi=110)
