"""The picture of a run on the chip: masked positions that turn into tokens, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from tokenizers import Tokenizer

from hardloom.flows.pictures.save import INK, PAPER, save_png
from hardloom.golden.samplers.denoise import CERTAIN
from hardloom.golden.shape import ModelShape
from hardloom.verif.chip.simulation import Run

__all__ = ["Cell", "plot_denoising", "timeline", "token_label"]

DPI = 150
PROMPT, QUIET, FRESH, EDIT = "#e7ebf0", "#9aa4b0", "#d9480f", "#9c36b5"
FONT = "DejaVu Sans Mono"


def token_label(token: int, tokenizer: Tokenizer | None, model: ModelShape) -> str:
    """What a cell of the timeline shows; without a tokenizer, the token's id."""
    if token in model.eos_token_ids:
        return "eos"
    if tokenizer is None:
        return str(token)
    return tokenizer.decode([token], skip_special_tokens=False).replace(" ", "␣") or "·"


@dataclass(frozen=True)
class Cell:
    """A position after a step: its token (None where masked) and, where a step wrote it, which one (0 for none), the
    probability of the latest prediction there (0 where there was none) and whether it wrote over a token."""

    token: int | None
    step: int = 0
    probability: float = 0.0
    edit: bool = False


def timeline(run: Run, mask_token_id: int) -> list[list[Cell]]:
    """Every position of `run` before the first and after each denoising step."""
    row = [Cell(token) for token in run.prompt] + [Cell(None)] * run.sampling.gen_length
    rows = [row]
    for number, commits in enumerate(run.steps, 1):
        before, row = row, list(row)
        for position, token, spread in commits:
            new, edit = None if token == mask_token_id else token, before[position].token is not None
            row[position] = Cell(new, number, CERTAIN / spread if spread else 0.0, edit)
        rows.append(row)
    return rows


def draw_cell(axes: Axes, at: tuple[int, int], cell: Cell, steps: int, label: str) -> None:
    """One cell of the timeline; `at` is (position, row)."""
    (x, y), masked = at, cell.token is None
    colour = plt.get_cmap("YlGnBu")(0.15 + 0.75 * cell.step / steps) if cell.step else PROMPT
    look: dict[str, Any] = {"facecolor": PAPER if masked else colour, "edgecolor": QUIET if masked else PAPER}
    axes.add_patch(Rectangle(at, 1, 1, hatch="/////" if masked else None, linewidth=0.6, **look))
    fresh = cell.step == y > 0
    if fresh and (cell.edit or not masked):
        frame = EDIT if cell.edit else FRESH
        axes.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor=frame, linewidth=1.6, zorder=4 if cell.edit else 3))
    if masked:
        return
    shown = fresh and cell.probability > 0
    text: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "color": PAPER if cell.step > 0.55 * steps else INK,
        "fontfamily": FONT,
    }
    size = 11 if len(label) == 1 else 7.5
    axes.text(
        x + 0.5, y + (0.38 if shown else 0.53), label, fontsize=size, fontweight="bold" if fresh else None, **text
    )
    if shown:
        axes.text(x + 0.5, y + 0.8, f"{min(cell.probability, 0.9999):.4f}"[1:], fontsize=5.5, **text)


def draw_run(axes: Axes, run: Run, block: int, model: ModelShape, tokenizer: Tokenizer) -> None:
    """The timeline of one run: a column a position, a row a denoising step, from top to bottom."""
    rows, prompt, steps = timeline(run, model.mask_token), len(run.prompt), len(run.steps)
    length = len(rows[0])
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            label = "" if cell.token is None else token_label(cell.token, tokenizer, model)
            draw_cell(axes, (x, y), cell, steps, label)
    for start in range(prompt, length + 1, block):
        axes.axvline(start, color=INK, linewidth=1.0, zorder=5)
    axes.set(xlim=(-0.02, length + 0.02), ylim=(len(rows) + 0.02, -0.02))
    axes.set_yticks([y + 0.5 for y in range(len(rows))], ["start", *(f"step {y}" for y in range(1, len(rows)))])
    names = {prompt / 2: "prompt"}
    names |= {prompt + (number + 0.5) * block: f"block {number}" for number in range((length - prompt) // block)}
    axes.set_xticks(list(names), list(names.values()))
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)


def plot_denoising(runs: Mapping[str, Run], block: int, model: ModelShape, tokenizer: Tokenizer, path: Path) -> None:
    """Timelines of runs of one prompt on the chip, one below the other, by the name of their sampler.

    A masked position is hatched. A token has the colour of the step that wrote it; in that step it is framed, in
    another colour where it was written over a token, and its probability, 1 / spread as the chip reports it, stands
    below. block: tokens of one, behind the prompt.
    """
    heights = [len(run.steps) + 2 for run in runs.values()]
    length = max(len(run.prompt) + run.sampling.gen_length for run in runs.values())
    figure, axes = plt.subplots(
        len(runs),
        figsize=(0.42 * length + 1.2, 0.42 * sum(heights) + 0.6),
        layout="constrained",
        squeeze=False,
        gridspec_kw={"height_ratios": heights},
    )
    for (one,), (name, run) in zip(axes, runs.items(), strict=True):
        draw_run(one, run, block, model, tokenizer)
        edits = any(cell.edit for row in timeline(run, model.mask_token) for cell in row)
        over = "; violet: written over a token" if edits else ""
        title = f"{name}: tokens as the simulated chip commits them, with their probability{over}"
        one.set_title(title, fontsize=11, loc="left")
    save_png(figure, path, DPI)
