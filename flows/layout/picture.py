"""A tile as a picture: cells, all wires, and one neuron's wires lit; or what differs between two checkpoints."""

import re
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.patches import Rectangle

from hardloom.flows.layout.technology import ROW, SITE, STEP
from hardloom.flows.layout.tile import Drawn
from hardloom.flows.layout.wires import Segment
from hardloom.flows.pictures.save import save_png

__all__ = ["draw_difference", "draw_tile", "neuron_nets"]

GROUND_COLOUR, CELL, FLOP, FAINT, TEXT = "#0d1117", "#1c2530", "#26384d", "#3b4a5c", "#c9d1d9"
LIT = "#ffb000", "#ff5d5d", "#4fc3f7", "#7ee787"
"""Of wires on met1 to met4."""
SIDES = "#4fc3f7", "#ffb000"
"""Of wires that only the first, and only the second checkpoint has."""
UNIT = re.compile(r"^(?:neuron|mac|unit)\w*?_0_0\b")
DPI = 200


def neuron_nets(drawn: Drawn) -> set[str]:
    """Nets of the first neuron cell alone: of its registers, and of the gates that nothing else is computed by."""
    netlist, drivers = drawn.netlist, drawn.netlist.driver()
    inside, outside = set[str](), set[str]()
    for name, one in netlist.instances.items():
        is_its = any(map(UNIT.match, (name, *one.state)))
        if one.state or is_its:
            (inside if is_its else outside).add(name)
    own, others = (cone(drawn, drivers, roots) for roots in (inside, outside))
    registers = {net for name in inside for pin, net in netlist.instances[name].pins.items()
                 if pin in netlist.outputs[netlist.instances[name].cell]}  # fmt: skip
    return (own - others) | registers


def cone(drawn: Drawn, drivers: dict[str, tuple[str, str]], roots: Set[str]) -> set[str]:
    """Nets from which those instances' inputs are computed, back to registers and ports, but for these themselves."""
    netlist, found = drawn.netlist, set[str]()
    waiting = sorted(roots)
    while waiting:
        one = netlist.instances[waiting.pop()]
        for pin, net in one.pins.items():
            driver = drivers.get(net, ("", ""))[0]
            if pin == "CLK" or pin in netlist.outputs[one.cell] or net in found or not driver:
                continue
            if not netlist.instances[driver].state and not driver.startswith(("clock.", "feed.")):
                found.add(net)
                waiting.append(driver)
    return found


def draw_tile(drawn: Drawn, path: Path, title: str) -> None:
    """The whole tile, the first neuron cell's wires lit by layer."""
    figure, axes = plt.subplots(figsize=(9, 9.4), facecolor=GROUND_COLOUR)
    backdrop(axes, drawn, title)
    lit = neuron_nets(drawn)
    draw_wires(
        axes, (one for net, wires in drawn.wires.items() if net not in lit for one in wires.segments), FAINT, 0.25
    )
    for layer, colour in enumerate(LIT):
        segments = [
            one for net in sorted(lit & drawn.wires.keys()) for one in drawn.wires[net].segments if one[0] == layer
        ]
        draw_wires(axes, segments, colour, 0.9, f"met{layer + 1} of the first neuron cell")
    legend(axes, len(LIT))
    save_png(figure, path, DPI)


def draw_difference(one: Drawn, other: Drawn, path: Path, titles: Sequence[str]) -> None:
    """Two checkpoints on the same cells: each one's wires of weights, and what only one of them has."""
    figure, frames = plt.subplots(1, 3, figsize=(21, 7.8), facecolor=GROUND_COLOUR)
    shapes = [pieces(one), pieces(other)]
    common, only = shapes[0] & shapes[1], (shapes[0] - shapes[1], shapes[1] - shapes[0])
    for axes, title, sides in zip(frames, titles, ((0,), (1,), (0, 1)), strict=True):
        backdrop(axes, one, title)
        draw_wires(axes, common, FAINT, 0.25, "wires of both")
        for side in sides:
            draw_wires(axes, only[side], SIDES[side], 0.45, f"wires of checkpoint {'AB'[side]} alone")
        legend(axes, 3)
    figure.tight_layout()
    save_png(figure, path, DPI)


def pieces(drawn: Drawn) -> set[Segment]:
    """Wires, cut from node to node, so that those of two tiles can be compared."""
    found = set[Segment]()
    for wires in drawn.wires.values():
        for layer, x0, y0, x1, y1 in wires.segments:
            xs, ys = range(x0, x1, STEP[0]), range(y0, y1, STEP[1])
            found |= {(layer, x, y0, x + STEP[0], y0) for x in xs} | {(layer, x0, y, x0, y + STEP[1]) for y in ys}
    return found


def backdrop(axes: Axes, drawn: Drawn, title: str) -> None:
    """The die and its cells."""
    wide, high = drawn.places.floor.die
    axes.set(xlim=(0, wide / 1000), ylim=(0, high / 1000), aspect="equal", xticks=[], yticks=[])
    axes.set_facecolor(GROUND_COLOUR)
    axes.set_title(title, color=TEXT, fontsize=11, loc="left")
    instances = drawn.netlist.instances
    for colour, names in ((CELL, [name for name, one in instances.items() if not one.state]),
                          (FLOP, [name for name, one in instances.items() if one.state])):  # fmt: skip
        boxes = [Rectangle((drawn.places.site[name] * SITE / 1000, drawn.places.row[name] * ROW / 1000),
                           drawn.places.sites[name] * SITE / 1000, ROW / 1000) for name in names]  # fmt: skip
        axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor=GROUND_COLOUR, linewidth=0.2))


def draw_wires(axes: Axes, segments: Iterable[Segment], colour: str, width: float, label: str | None = None) -> None:
    lines = [((x0 / 1000, y0 / 1000), (x1 / 1000, y1 / 1000)) for _, x0, y0, x1, y1 in sorted(segments)]
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=width, label=label))


def legend(axes: Axes, columns: int) -> None:
    made = axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=columns, frameon=False, labelcolor=TEXT, fontsize=8
    )
    for line in made.get_lines():
        line.set_linewidth(2.0)
    for handle in made.legend_handles:
        if isinstance(handle, LineCollection):
            handle.set_linewidth(2.0)
