"""The picture of `hardloom calibrate`: the largest activation of every channel of every layer."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from torch import Tensor

from hardloom.flows.pictures.save import save

__all__ = ["plot_outliers"]

PANELS = (("residual", "residual stream"), ("norm", "norm outputs"), ("swiglu", "SwiGLU outputs"))
LOWEST = 1e-2
"""Magnitudes below have the darkest colour."""


def plot_outliers(channels: dict[tuple[str, int | None], Tensor], path: Path) -> None:
    """Write `path`, PNG or SVG: a panel a site, a row a layer and one for the last norm, a column a channel.

    channels: (site, layer) to the largest magnitude of each channel.
    """
    figure, panels = plt.subplots(len(PANELS), 1, figsize=(10, 8), layout="constrained")
    highest = max(float(largest.max()) for largest in channels.values())
    for axes, (site, title) in zip(panels, PANELS, strict=True):
        rows = rows_of(channels, site)
        picture = axes.imshow(
            np.maximum(np.stack(rows), LOWEST), aspect="auto", interpolation="nearest", cmap="inferno",
            norm=LogNorm(LOWEST, max(highest, 1)),
        )  # fmt: skip
        axes.set(ylabel="layer", title=f"{title}: largest {max(row.max() for row in rows):,.5g}")
    panels[-1].set_xlabel("channel")
    figure.colorbar(picture, ax=panels, label="largest magnitude, logarithmic")
    save(figure, path, dpi=110)


def rows_of(channels: dict[tuple[str, int | None], Tensor], site: str) -> list[np.ndarray]:
    """A site's row of each layer, and what it is behind them: of the norms the last."""
    rows = [largest.numpy() for (name, layer), largest in channels.items() if name == site and layer is not None]
    return [*rows, channels[site, None].numpy()] if site == "norm" else rows
