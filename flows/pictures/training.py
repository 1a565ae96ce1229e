"""The picture of `hardloom train`: losses of the tokens and of the routers, and the experts' shares, over the steps."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from hardloom.flows.pictures.save import INK, save_png

__all__ = ["plot_training"]

COLORS = ("#1f5fa8", "#d9480f", "#2b8a3e", "#862e9c")
LEAST, MOST = 0.02, 0.40
"""Shares between which every expert should stay."""


def plot_training(entries: list[dict[str, Any]], path: Path) -> None:
    """Write `path`. entries: of `golden.training.history.History`; with none, the axes are empty."""
    figure, (tokens, balance, z, shares) = plt.subplots(4, 1, figsize=(8, 9), sharex=True, layout="constrained")
    steps = [entry["step"] for entry in entries]
    tokens.plot(steps, [entry["cross_entropy"] for entry in entries], color=INK, linewidth=0.9)
    tokens.set(ylabel="cross entropy, nats", title="Training: tokens, load balance, z-loss, shares of experts")
    layers = range(len(entries[0]["balance"]) if entries else 0)
    for name, axes, label in (("balance", balance, "load balance, 1 is even"), ("z", z, "z-loss")):
        for layer in layers:
            values = [entry[name][layer] for entry in entries]
            axes.plot(
                steps, values, color=COLORS[layer % len(COLORS)], label=f"layer with experts {layer}", linewidth=0.9
            )
        axes.set(ylabel=label)
    z.set(yscale="log")
    for layer in layers:
        plot_shares(shares, steps, [entry["shares"][layer] for entry in entries], COLORS[layer % len(COLORS)])
    for bound in (LEAST, MOST):
        shares.axhline(bound, color=INK, linestyle="--", linewidth=0.8)
    shares.set(xlabel="steps", ylabel="share of assignments", yscale="log")
    for axes in (tokens, balance, z, shares):
        axes.grid(True, alpha=0.3)
    if entries:
        balance.legend()
    save_png(figure, path, dpi=110)


def plot_shares(axes: Axes, steps: list[int], shares: list[list[float]], color: str) -> None:
    """A line an expert; shares: [entries][experts]."""
    for expert in zip(*shares, strict=True):
        axes.plot(steps, expert, color=color, linewidth=0.5, alpha=0.7)
