"""The picture of a run on the chip: masked positions that turn into tokens, step by step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from tokenizers import Tokenizer

from flows.pictures.save import INK, PAPER, save_png
from golden.samplers.denoise import CERTAIN
from golden.shape import ModelShape
from verif.chip.simulation import Run

__all__ = ["plot_denoising", "timeline"]

DPI = 150
PROMPT, QUIET, FRESH = "#e7ebf0", "#9aa4b0", "#d9480f"
FONT = "DejaVu Sans Mono"


def token_label(token: int, tokenizer: Tokenizer, model: ModelShape) -> str:
    """What a cell of the timeline shows."""
    if token in model.eos_token_ids:
        return "eos"
    return tokenizer.decode([token], skip_special_tokens=False).replace(" ", "␣") or "·"


@dataclass(frozen=True)
class Cell:
    """A position after a step: its token (None where masked) and, of a commit, step (0 for none) and probability."""

    token: int | None
    step: int = 0
    probability: float = 0.0


def timeline(run: Run, mask_token_id: int) -> list[list[Cell]]:
    """Every position of `run` before the first and after each denoising step."""
    row = [Cell(token) for token in run.prompt] + [Cell(None)] * run.sampling.gen_length
    rows = [row]
    for number, commits in enumerate(run.steps, 1):
        row = list(row)
        for position, token, spread in commits:
            row[position] = Cell(None) if token == mask_token_id else Cell(token, number, CERTAIN / spread)
        rows.append(row)
    return rows


def draw_cell(axes: Axes, at: tuple[int, int], cell: Cell, steps: int, label: str) -> None:
    """One cell of the timeline; `at` is (position, row)."""
    (x, y), masked = at, cell.token is None
    colour = plt.get_cmap("YlGnBu")(0.15 + 0.75 * cell.step / steps) if cell.step else PROMPT
    look: dict[str, Any] = {"facecolor": PAPER if masked else colour, "edgecolor": QUIET if masked else PAPER}
    axes.add_patch(Rectangle(at, 1, 1, hatch="/////" if masked else None, linewidth=0.6, **look))
    if masked:
        return
    fresh = cell.step == y > 0
    text: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "color": PAPER if cell.step > 0.55 * steps else INK,
        "fontfamily": FONT,
    }
    size = 11 if len(label) == 1 else 7.5
    axes.text(
        x + 0.5, y + (0.38 if fresh else 0.53), label, fontsize=size, fontweight="bold" if fresh else None, **text
    )
    if fresh:
        axes.text(x + 0.5, y + 0.8, f"{min(cell.probability, 0.9999):.4f}"[1:], fontsize=5.5, **text)
        axes.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor=FRESH, linewidth=1.6, zorder=3))


def plot_denoising(run: Run, block: int, model: ModelShape, tokenizer: Tokenizer, path: Path) -> None:
    """The timeline of one run on the chip: a column a position, a row a denoising step, from top to bottom.

    A masked position is hatched. A token has the colour of the step that committed it; in that step it is framed and
    its probability, 1 / spread as the chip reports it, stands below. block: tokens of one, behind the prompt.
    """
    prompt = len(run.prompt)
    rows = timeline(run, model.mask_token)
    length, steps = len(rows[0]), len(run.steps)
    figure, axes = plt.subplots(figsize=(0.42 * length + 1.2, 0.42 * len(rows) + 1.0), layout="constrained")
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            label = "" if cell.token is None else token_label(cell.token, tokenizer, model)
            draw_cell(axes, (x, y), cell, steps, label)
    for start in range(prompt, length + 1, block):
        axes.axvline(start, color=INK, linewidth=1.0, zorder=4)
    axes.set(xlim=(-0.02, length + 0.02), ylim=(len(rows) + 0.02, -0.02))
    axes.set_yticks([y + 0.5 for y in range(len(rows))], ["start", *(f"step {y}" for y in range(1, len(rows)))])
    names = {prompt / 2: "prompt"}
    names |= {prompt + (number + 0.5) * block: f"block {number}" for number in range((length - prompt) // block)}
    axes.set_xticks(list(names), list(names.values()))
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_title("tokens as the simulated chip commits them, with their probability", fontsize=11, loc="left")
    save_png(figure, path, DPI)
