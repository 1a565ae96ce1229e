"""The picture of `hardloom explore`: area or energy against throughput, both logarithmic."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

from hardloom.flows.design.explore.points import Point, measure, pareto
from hardloom.flows.design.explore.search import Space
from hardloom.flows.pictures.save import save

__all__ = ["plot_front"]


def plot_front(space: Space, chosen: Point, front: list[Point], objective: str, path: Path) -> None:
    """The Pareto front, PNG or SVG by its name, the chosen point marked; beside it what metal-only respins cost."""
    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.13)
    scale, unit = (1e6, "uJ a token in the arrays") if objective == "energy" else (1.0, "mm2")

    def draw(points: list[Point], color: str, label: str) -> None:
        speeds, figures = [p.tokens_per_s for p in points], [measure(p, objective) / scale for p in points]
        axes.step(speeds, figures, where="pre", color=color)
        axes.plot(speeds, figures, ".", color=color, label=label)

    if (alone := space.metal_only()) is not None:
        label = f"{', '.join(alone.styles)} alone (metal-only respins)"
        draw(pareto(list(alone.points(objective)), objective), "#adb5bd", label)
    draw(front, "#2f6f9f", ", ".join(space.styles))
    axes.plot(chosen.tokens_per_s, measure(chosen, objective) / scale, "o", color="#d9480f", label="chosen")
    axes.set(
        xscale="log", yscale="log", xlabel=f"tokens/s, {'projected' if space.why_projected else 'emitted'}", ylabel=unit
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_title(f"{space.shape.name}, head in {space.units.head_tiles} parts", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path, dpi=110)
