"""How long the nets of a mapped netlist are when Coloquinte places its cells: rows as high as ASAP7's, a square die.

Lengths are in roots of a NAND2's area, so that they mean the same in every library. Ports are left out, and the clock,
which a clock tree brings.
"""

import importlib.util
from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numba import njit

from hardloom.flows.console.silence import silence
from hardloom.flows.synth.library.library import Library
from hardloom.golden.errors import UserError

__all__ = ["UTILISATION", "has_placer", "net_lengths", "placed", "tree_length"]

UTILISATION = 0.70
ROW = 1.12
"""Height of a row of cells over the root of a NAND2's area, in ASAP7."""
UNIT = 100
"""Coloquinte's integer lengths a root of a NAND2's area."""
EFFORT = 1  # of Coloquinte, 1 to 9
TREE = 0.92
"""A rectilinear Steiner tree of more than three pins over their spanning tree."""


def has_placer() -> bool:
    """Whether Coloquinte is installed."""
    return importlib.util.find_spec("coloquinte") is not None


def net_lengths(module: dict[str, Any], library: Library, clocks: frozenset[int]) -> dict[int, float]:
    """By the bit of a net, its length: of every net of a `write_json` module between several cells of the library, but
    for `clocks`. Cells of other modules have no place. Raises UserError without Coloquinte."""
    cells = [cell for cell in module["cells"].values() if cell["type"] in library.cells]
    areas = [library.cells[cell["type"]].area / library.nand2.area for cell in cells]
    nets = {bit: found for bit, found in nets_of(cells).items() if bit not in clocks}
    x, y = placed([max(1, round(UNIT * area / ROW)) for area in areas], list(nets.values()))
    return {bit: tree_length(x[net], y[net]) / UNIT for bit, net in nets.items()}


def nets_of(cells: Sequence[dict[str, Any]]) -> dict[int, list[int]]:
    """Places of the cells on every net that has several, by its bit."""
    on: dict[int, dict[int, None]] = {}
    for number, cell in enumerate(cells):
        for bits in cell["connections"].values():
            for bit in bits:
                if isinstance(bit, int):
                    on.setdefault(bit, {})[number] = None
    return {bit: list(found) for bit, found in on.items() if len(found) > 1}


def placed(widths: Sequence[int], nets: Sequence[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Middles of cells of so many units' width, placed in rows on a square so that their nets are short."""
    try:
        import coloquinte
    except ImportError:
        raise UserError("cells are placed by Coloquinte; install it with pip install 'hardloom[bench]'") from None
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
