"""A whole array mapped and placed by Coloquinte: how much wire it takes, beside what its plan predicts.

Lengths are in roots of a NAND2's area, so that they mean the same in every library. Rows are as high as ASAP7's. Ports
are left out, and the clock, which a clock tree brings.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hardloom.flows.console.silence import silence
from hardloom.flows.design.cost.quantities import count
from hardloom.flows.design.cost.wires import wires_of
from hardloom.flows.design.estimate.assumptions import Assumptions
from hardloom.flows.synth.arrays import limits, write
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.library import Library
from hardloom.gen.arrays import ArrayPlan
from hardloom.golden.errors import UserError

__all__ = ["UTILISATION", "Placement", "place_array"]

UTILISATION = 0.70
ROW = 1.12
"""Height of a row of cells over the root of a NAND2's area, in ASAP7."""
UNIT = 100
"""Coloquinte's integer lengths a root of a NAND2's area."""
EFFORT = 1  # of Coloquinte, 1 to 9
TREE = 0.92
"""A rectilinear Steiner tree of more than three pins over their spanning tree."""


@dataclass(frozen=True)
class Placement:
    """Of a whole array, shell and all.

    cells, nets: of its netlist, the clock's net left out; area: of the die, in NAND2s; length, predicted: of all wires,
    as placed and as in `flows.design.cost.wires`; tracks: length of wire that there is room for on an area of 1 with
    ASAP7's stack.
    """

    cells: int
    nets: int
    area: float
    length: float
    predicted: float
    tracks: float

    @property
    def track_share(self) -> float:
        """Wires over all tracks of the metal stack, none kept for power or set aside for the router."""
        return self.length / (self.area * self.tracks)

    @property
    def predicted_share(self) -> float:
        return self.predicted / (self.area * self.tracks)


def place_array(plan: ArrayPlan, library: Library) -> Placement:
    """Map an array flattened and place it on a square.

    Raises UserError without Coloquinte, SynthesisError as `synthesize`.
    """
    with tempfile.TemporaryDirectory() as folder:
        files, netlist = write(plan, Path(folder) / "whole"), Path(folder) / "netlist.json"
        found = synthesize(list(files.values()), plan.name, limits(library), connections=netlist)
        module = json.loads(netlist.read_text())["modules"][plan.name]
    nand = library.nand2.area
    widths = [max(1, round(UNIT * library.cells[cell["type"]].area / nand / ROW)) for cell in module["cells"].values()]
    nets = list(nets_of(module))
    x, y = placed(widths, nets)
    length = sum(tree_length(x[net], y[net]) for net in nets) / UNIT
    gates, area = found.area / nand, found.area / nand / UTILISATION
    predicted = wires_of(plan.style.name, plan.slices, count(plan), gates).placed * sqrt(area)
    seven = Assumptions.of("7nm").entries
    tracks = seven["tracks_per_um"].value * sqrt(seven["gate_um2"].high)
    return Placement(len(widths), len(nets), area, length, predicted, tracks)


def nets_of(module: dict[str, Any]) -> Iterator[list[int]]:
    """Cells on every net of a `write_json` module that has several, by their place; but for the clock's."""
    on: dict[int, dict[int, None]] = {}
    for number, cell in enumerate(module["cells"].values()):
        for bits in cell["connections"].values():
            for bit in bits:
                if isinstance(bit, int):
                    on.setdefault(bit, {})[number] = None
    clock = set(module["ports"]["clk"]["bits"])
    return (list(cells) for bit, cells in on.items() if bit not in clock and len(cells) > 1)


def placed(widths: Sequence[int], nets: Sequence[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Middles of cells of so many units' width, placed in rows on a square so that their nets are short."""
    try:
        import coloquinte
    except ImportError:
        raise UserError("--place: needs Coloquinte; install it with pip install 'hardloom[bench]'") from None
    height, cells = round(ROW * UNIT), len(widths)
    side = sqrt(sum(widths) * height / UTILISATION)
    rows = max(1, round(side / height))
    width = max(*widths, int(sum(widths) / UTILISATION / rows))
    circuit = coloquinte.Circuit(cells)
    circuit.cell_width, circuit.cell_height = list(widths), [height] * cells
    circuit.cell_is_fixed = [False] * cells
    circuit.cell_x, circuit.cell_y = [0] * cells, [0] * cells
    circuit.cell_row_polarity = [coloquinte.CellRowPolarity.SAME] * cells
    ways = coloquinte.CellOrientation.N, coloquinte.CellOrientation.FS
    circuit.rows = [
        coloquinte.Row(coloquinte.Rectangle(0, width, row * height, (row + 1) * height), ways[row % 2])
        for row in range(rows)
    ]
    for net in nets:
        circuit.add_net(net, [widths[cell] // 2 for cell in net], [height // 2] * len(net))
    with silence():
        circuit.place_global(EFFORT)
        circuit.legalize(EFFORT)
        circuit.place_detailed(EFFORT)
    return np.array(circuit.cell_x) + np.array(widths) // 2, np.array(circuit.cell_y) + height // 2


def tree_length(x: np.ndarray, y: np.ndarray) -> float:
    """Of the wires that connect points: half their frame, or a share of their spanning tree where they are many."""
    frame = float(np.ptp(x) + np.ptp(y))
    return frame if len(x) <= 3 else max(frame, TREE * _spanning(x.astype(np.float64), y.astype(np.float64)))


@njit(cache=True)
def _spanning(x, y):
    """Length of the shortest tree of rectilinear edges between points (Prim)."""
    away = np.abs(x - x[0]) + np.abs(y - y[0])
    away[0] = np.inf
    inside, length = np.zeros(len(x), dtype=np.bool_), 0.0
    inside[0] = True
    for _ in range(len(x) - 1):
        nearest = np.argmin(away)
        length += away[nearest]
        inside[nearest] = True
        away = np.minimum(away, np.abs(x - x[nearest]) + np.abs(y - y[nearest]))
        away[inside] = np.inf
    return length
