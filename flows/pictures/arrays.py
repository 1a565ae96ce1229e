"""The picture of `hardloom bench arrays`: area a weight against cycles, both logarithmic."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from hardloom.flows.pictures.save import INK, PAPER, save

__all__ = ["COLORS", "plot_arrays"]

COLORS = {
    "metal": "#1f5fa8", "metal flat": "#7aa6d6", "packed": "#2a9d8f", "packed flat": "#7fb800", "rom": "#d9480f",
    "shared": "#e8a33d", "cell": "#8a63d2", "da4ml": "#6b7280", "plain": "#111827",
}  # fmt: skip

PEERS = ("cell", "da4ml", "plain")
"""Drawn hollow: what arrays are compared with."""

APART = 1.28
"""Times that a label stands above the one below it."""


def plot_arrays(rows: list[dict[str, Any]], path: Path) -> None:
    """Write `path`, PNG or SVG: a curve for every style at the largest size that it has, named at its last point.

    Points of peers are hollow. A line is the bound of the largest size of all.
    """
    styles = [style for style in COLORS if any(row["style"] == style for row in rows)]
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    axes.set(xscale="log", yscale="log", xlabel="cycles a matrix-vector product", ylabel="gates (NAND2) a weight")
    ends = []
    for style in styles:
        size = max(size_of(row) for row in rows if row["style"] == style)
        points = sorted(
            (row["cycles"], row["ge_per_weight"]) for row in rows if (row["style"], size_of(row)) == (style, size)
        )
        fill = PAPER if style in PEERS else COLORS[style]
        axes.plot(*zip(*points, strict=True), color=COLORS[style], marker="o", mfc=fill, mew=2, lw=2)
        ends.append((*points[-1], f"{style}, {size[0]} x {size[1]}", COLORS[style]))
    widest = max(rows, key=size_of)
    bound = widest["ge_per_weight"] / widest["bound"]
    axes.axhline(bound, color=INK, lw=1, ls=":")
    axes.annotate("bound of random weights (Lupanov)", (1, bound), (0, 4), textcoords="offset points", fontsize=9)
    label_ends(axes, ends)
    cycles = [row["cycles"] for row in rows]
    axes.set_xlim(0.7 * min(cycles), 9 * max(cycles))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_title(f"Gates a weight of arrays, shell included, each style at its largest size; hollow: peers\n"
                   f"({rows[0]['library']})", fontsize=11)  # fmt: skip
    axes.grid(True, which="major", alpha=0.25)
    save(figure, path, dpi=150, svg_text=True)


def size_of(row: dict[str, Any]) -> tuple[int, int]:
    return row["neurons"], row["inputs"]


def label_ends(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Names of curves to the right of their last points, (x, y, text, color), each above the one below it, with a line
    from the point."""
    for x in {end[0] for end in ends}:
        lowest = 0.0
        for _, y, text, color in sorted((end for end in ends if end[0] == x), key=lambda end: end[1]):
            lowest = max(y, lowest * APART)
            axes.plot([x, x * 1.25], [y, lowest], color=color, lw=0.8, zorder=1)
            axes.text(x * 1.3, lowest, text, color=color, fontsize=10, va="center")
