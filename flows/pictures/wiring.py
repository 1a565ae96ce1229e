"""A picture of where the weights of a chip are: the wires of one hardwired array, as the emitted text has them."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from hardloom.flows.pictures.save import INK, PAPER, save_png
from hardloom.gen.build.folder import Build
from hardloom.golden.errors import UserError
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import Instance, instances
from hardloom.verif.extract.neuron import CONTROL, read_neuron

__all__ = ["Wiring", "plot_wiring", "read_wiring"]

CURVE = np.linspace(0, 1, 40)
COLOURS = plt.get_cmap("turbo")
REGIONS = ("#f5f7f9", "#e7ebf0")


@dataclass(frozen=True)
class Wiring:
    """Wires of an array of style `metal`.

    Attributes
    ----------
    inputs: number of inputs; slots: int [neurons, slots], 1 + i where input i enters, -1 - i where its negative does,
        0 where nothing does.
    regions: (first slot, slots, value that a bit there counts).
    """

    inputs: int
    slots: np.ndarray
    regions: list[tuple[int, int, int]]


def wire_number(name: str) -> int:
    """`p5` to 6, `n5` to -6, `1'b0` to 0. Raises ValueError for any other."""
    if name == "1'b0":
        return 0
    if not name.startswith(("p", "n")):
        raise ValueError(name)
    return (1 if name[0] == "p" else -1) * (1 + int(name[1:]))


def read_wiring(build: Build, module: str) -> Wiring:
    """Read the wires of array `module` from its file, and the regions from the file of its neuron cell.

    Raises `UserError` where it is no array of style `metal`, or a file has changed, and ExtractionError where its text
    is none of ours.
    """
    facts = next((array for array in build.arrays if array.module == module), None)
    if facts is None or facts.style != "metal":
        raise UserError(f"{build.path}: has no array {module} of style metal; see its manifest.json for the arrays")
    found = instances(build.read(f"rtl/arrays/{module}.v"))
    neurons = [instance for instance in found if instance.name.startswith("neuron_")]
    if not neurons:
        raise ExtractionError(f"{module} has no neurons")
    cell = read_neuron(build.text(f"rtl/prefab/{neurons[0].module}.v"))
    feeds, place = read_feeds(neurons, module)
    if feeds.shape[1] != len(cell.values) or np.abs(feeds).max() > facts.inputs * cell.fold:
        raise ExtractionError(f"{module}: its neurons are not wired as {cell.name} is")
    slots, lanes = by_turn(feeds, cell.fold), build.hardware.lanes
    rank, lane = np.divmod(place[:, 1:], lanes)
    rows = lane + lanes * (cell.fold * rank + np.arange(cell.fold))
    order = np.argsort((place[:, :1] * rows.size + rows).ravel())
    order = order[rows.ravel()[order] < facts.rows]
    values = cell.values[:: cell.fold]
    starts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    regions = [(first, end - first, int(values[first])) for first, end in pairwise(starts)]
    return Wiring(facts.inputs, (np.sign(slots) * (1 + (np.abs(slots) - 1) // cell.fold))[order], regions)


def read_feeds(neurons: list[Instance], module: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the wires in the slots of all neuron cells, int [cells, slots], and the cells' places, int [cells, 2].

    Raises ExtractionError where cells are not all alike, or a slot has anything else in it.
    """
    try:
        feeds = np.array([[wire_number(pin.decode()) for pin in neuron.pins[len(CONTROL) :]] for neuron in neurons])
        return feeds, np.array([neuron.place for neuron in neurons]).reshape(-1, 2)
    except ValueError:
        raise ExtractionError(f"{module}: its neurons are not wired as arrays of style metal are") from None


def by_turn(slots: np.ndarray, fold: int) -> np.ndarray:
    """Slots of cells, [cells, slots], to those that count in each neuron's turns: [cells * fold, slots / fold]."""
    return slots.reshape(len(slots), -1, fold).transpose(0, 2, 1).reshape(len(slots) * fold, -1)


def draw_wires(axes: Axes, wiring: Wiring, neuron: int) -> None:
    """Curves from the inputs at the top to the slots of one neuron at the bottom."""
    slots = wiring.slots[neuron]
    used = np.flatnonzero(slots)
    number = np.abs(slots[used]) - 1
    top = (number + 0.5) * slots.size / wiring.inputs
    ease = CURVE**2 * (3 - 2 * CURVE)
    x = top[:, None] + (used + 0.5 - top)[:, None] * ease
    curves = np.stack([x, np.broadcast_to(1 - CURVE, x.shape)], axis=-1)
    for sign, style in ((1, "solid"), (-1, (0, (3, 1.2)))):
        chosen = np.sign(slots[used]) == sign
        colours = COLOURS(number[chosen] / (wiring.inputs - 1))
        axes.add_collection(LineCollection(list(curves[chosen]), colors=colours, linewidths=1.1, linestyles=style))
    for i in range(wiring.inputs):
        at = (i + 0.5) * slots.size / wiring.inputs
        axes.plot(at, 1.0, marker="o", markersize=3.4, color=COLOURS(i / (wiring.inputs - 1)), clip_on=False)
        if i % 8 == 0 or i == wiring.inputs - 1:
            axes.text(at, 1.06, f"{i}", ha="center", va="bottom", fontsize=7.5, color=INK)
    axes.set(xlim=(0, slots.size), ylim=(0, 1.02))
    axes.axis("off")


def draw_slots(axes: Axes, wiring: Wiring) -> None:
    """A row a neuron, a column a slot: full cells are wires of an input, half cells those of its negative."""
    neurons, slots = wiring.slots.shape
    tall = 6
    image = np.ones((neurons, tall, slots, 3))
    for number, (first, count, _) in enumerate(wiring.regions):
        image[:, :, first : first + count] = to_rgb(REGIONS[number % 2])
    colours = COLOURS((np.abs(wiring.slots) - 1) / (wiring.inputs - 1))[..., :3]
    for part in range(tall):
        covered = (wiring.slots > 0) | ((wiring.slots < 0) & (part >= tall // 2))
        image[:, part][covered] = colours[covered]
    axes.imshow(image.reshape(neurons * tall, slots, 3), aspect="auto", interpolation="nearest",
                extent=(0, slots, neurons, 0))  # fmt: skip
    for first, count, value in wiring.regions:
        axes.axvline(first, color=PAPER, linewidth=1.5)
        axes.text(first + count / 2, neurons * 1.015, f"{value}", ha="center", va="top", color=INK,
                  fontsize=8.5 if count > 12 else 5.5)  # fmt: skip
    axes.set_yticks([0.5, neurons - 0.5], ["neuron 0", f"neuron {neurons - 1}"], fontsize=8)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def plot_wiring(build: Build, module: str, path: Path) -> None:
    """Draw array `module` of style `metal`: above, the wires into its first neuron; below, all of its neurons."""
    wiring = read_wiring(build, module)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10.4, 6.4), height_ratios=(3, 4), gridspec_kw={"hspace": 0.03, "top": 0.87, "bottom": 0.1}
    )
    figure.subplots_adjust(left=0.075, right=0.985)
    draw_wires(above, wiring, 0)
    draw_slots(below, wiring)
    wires = int((wiring.slots != 0).sum())
    legend = "slots of all neuron cells, by what a bit there counts; full: the wire of an input, half: of its negative"
    for y, size, colour, text in (
        (0.955, 11.5, INK, f"{module}: {wires:,} wires are its weights"),
        (0.922, 8.5, INK, "above, the inputs and their wires into neuron 0 (dashed: of the negative)"),
        (0.025, 8.5, INK, legend),
    ):
        figure.text(0.075, y, text, fontsize=size, color=colour)
    save_png(figure, path, dpi=150)
