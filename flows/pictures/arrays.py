"""The picture of `hardloom bench arrays`: area a weight against cycles, both logarithmic."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from hardloom.flows.pictures.save import save

__all__ = ["COLORS", "plot_arrays"]

COLORS = {
    "metal": "#1f5fa8", "metal flat": "#7aa6d6", "packed": "#2a9d8f", "packed flat": "#7fb800", "rom": "#d9480f",
    "shared": "#e8a33d", "cell": "#8a63d2", "da4ml": "#6b7280", "plain": "#111827",
}  # fmt: skip
MARKERS = "osD^v<>*"


def plot_arrays(rows: list[dict[str, Any]], path: Path) -> None:
    """Write `path` as PNG and as SVG: a point for every row of figures, lines through one style at one size."""
    sizes = sorted({(row["neurons"], row["inputs"]) for row in rows})
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for number, size in enumerate(sizes):
        for style, color in COLORS.items():
            points = sorted(
                (row["cycles"], row["ge_per_weight"], row["core_ge_per_weight"])
                for row in rows
                if (row["style"], row["neurons"], row["inputs"]) == (style, *size)
            )
            if points:
                cycles, whole, core = zip(*points, strict=True)
                label = f"{style}, {size[0]} x {size[1]}"
                axes.plot(cycles, whole, color=color, marker=MARKERS[number % len(MARKERS)], label=label)
                axes.plot(cycles, core, color=color, marker=MARKERS[number % len(MARKERS)], ls=":", alpha=0.4)
    axes.set(
        xscale="log", yscale="log", xlabel="cycles a matrix-vector product", ylabel="GE a weight",
        title=f"Hardwired arrays, {rows[0]['library']}: with the shell (solid), neurons alone (dotted)",
    )  # fmt: skip
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(fontsize=6, ncols=2)
    save(figure, path, dpi=150, svg_text=True)
