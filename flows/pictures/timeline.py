"""The picture of `hardloom bench timeline`: a row a probe point, a bar a packet, measured above modelled."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from hardloom.flows.pictures.save import INK, save

__all__ = ["Row", "draw_timeline"]

MEASURED, MODELLED = "#2f6f9f", "#d9480f"
NARROW = 2
"""Cycles that a bar has at least, so that it is seen."""


@dataclass(frozen=True)
class Row:
    """A probe point. measured: cycles of its packets' first and last beats, int64 [packets, 2]; modelled: of their last
    beats, float64 [packets], None where there are none."""

    name: str
    measured: np.ndarray
    modelled: np.ndarray | None


def bars(first: np.ndarray, last: np.ndarray) -> list[tuple[float, float]]:
    """Starts and widths of the bars of packets."""
    starts = np.minimum(first, last - NARROW + 1)
    return [(float(start), float(end - start + 1)) for start, end in zip(starts, last, strict=True)]


def draw_timeline(rows: list[Row], title: str, path: Path) -> None:
    """Write the picture, PNG or SVG; the same bytes for the same rows."""
    figure, axes = plt.subplots(figsize=(11, 0.27 * len(rows) + 1.1))
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.19, right=0.985, top=1 - 0.42 / height, bottom=0.5 / height)
    for place, row in enumerate(rows):
        first, last = row.measured.T
        axes.broken_barh(bars(first, last), (place - 0.42, 0.4), color=MEASURED)
        if row.modelled is not None and len(row.modelled) == len(last):
            axes.broken_barh(bars(row.modelled - (last - first), row.modelled), (place + 0.02, 0.4), color=MODELLED)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("clock cycles from the first token in", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title(f"{title}: packets at each probe point, measured (blue) and by the cycle model (orange)",
                   fontsize=9, loc="left", color=INK)  # fmt: skip
    axes.grid(axis="x", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, dpi=110)
