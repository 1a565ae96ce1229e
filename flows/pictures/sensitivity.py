"""The picture of `hardloom sensitivity`: a bar a kind of matrix and a bar a site."""

from pathlib import Path

import matplotlib.pyplot as plt

from hardloom.flows.pictures.save import save
from hardloom.golden.calibration.sensitivity import Cost

__all__ = ["plot_sensitivity"]

WEIGHTS, ACTIVATIONS = "#1f5fa8", "#d9480f"


def plot_sensitivity(weights: list[Cost], activations: list[Cost], path: Path) -> None:
    """Write `path`, PNG or SVG, the most expensive above."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    bars = [(cost, color) for costs, color in ((weights, WEIGHTS), (activations, ACTIVATIONS)) for cost in costs]
    bars.sort(key=lambda bar: bar[0].divergence)
    labels = [f"{cost.kind}, {cost.rounding}" for cost, _ in bars]
    axes.barh(labels, [cost.divergence for cost, _ in bars], color=[color for _, color in bars])
    axes.set(xlabel="KL from the float model, nats a token", title="Rounded alone: matrices (blue), activations (red)")
    axes.grid(True, axis="x", alpha=0.3)
    save(figure, path, dpi=110, svg_text=True)
