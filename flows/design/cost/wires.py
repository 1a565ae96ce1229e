"""Wires of an array, from what its plan counts: lines that all cells share, and what crosses or taps them.

Lines run one way through a tile, what reads them the other way, in rows of cells. Every length grows with the side of
the tile: one of area A has `length` times the root of A of wire. Either the cells stand in rows along what crosses the
lines, a length by construction, or a placer scatters them, and every line becomes a tree to its taps. Factors of trees
and of wires between neighbours are fitted to placed tiles (docs/benchmarks.md, Wires).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log, sqrt

from hardloom.flows.design.cost.shapes import Quantities

__all__ = ["Wires", "wires_of"]

TREE = {"metal": 0.20, "packed": 0.20, "rom": 0.91, "shared": 0.34}
"""Length of placed trees over the root of lines times taps times area."""
LOCAL = {"metal": 3.26, "packed": 3.26, "rom": 1.69, "shared": 1.66}
"""Length of wires between neighbours over the root of gates times area."""
STRIP = 1.5
"""Wires along a strip of cells for every bit of a region's count: sums of parts of the region go there, too."""
ROM_SPAN = 0.75
"""Share of the width of a tile that a node of some lines spans."""
MERGED = 4
"""Inputs of the gates that merge lines."""


@dataclass(frozen=True)
class Wires:
    """Of a tile. lines: shared by all cells; taps: gates that read one; crossings: wires that cross all lines; tree:
    see `TREE`; local: length of wires between neighbours over the root of the area."""

    lines: float
    taps: float
    crossings: float
    tree: float
    local: float

    @property
    def placed(self) -> float:
        """Wirelength over the root of the area, as a placer scatters the cells."""
        return self.tree * sqrt(self.lines * self.taps) + self.local

    @property
    def in_rows(self) -> float:
        """The same with cells in rows along what crosses the lines, in a tile of the best ratio of its sides."""
        return 2 * sqrt(self.lines * self.crossings) + self.local

    @property
    def length(self) -> float:
        """The shorter of both."""
        return min(self.placed, self.in_rows)


def wires_of(style: str, slices: int, quantities: Quantities, gates: float) -> Wires:
    """Of an array of so many gates in a style of the cost model."""
    lines, taps, crossings = COUNTED[style](slices, quantities)
    return Wires(lines, taps, crossings, TREE[style], LOCAL[style] * sqrt(gates))


def _cells(slices: int, q: Quantities) -> tuple[float, float, float]:
    """A pair of wires for every input, once a turn; a strip a cell, in which lines are counted region by region."""
    bits = q.steps / slices
    feeds = q.shell["feeds"] or q.shell["input_bits"] / bits
    return 2 * feeds, 2 * q.wire_toggles / bits, STRIP * q.neurons["count_bits"]


def _rom(slices: int, q: Quantities) -> tuple[float, float, float]:
    """A line an address, which nodes tap."""
    return slices, q.wire_toggles / 2, ROM_SPAN * q.neurons["nodes"]


def _shared(slices: int, q: Quantities) -> tuple[float, float, float]:
    """A line a subset; a plane crosses all of them in a tree of gates, half of whose levels lie side by side."""
    planes = 2 * q.wire_toggles / slices
    taps = q.neurons["merged_wires"] + planes
    levels = ceil(log(max(MERGED, taps / planes), MERGED))
    return q.common["subsets"], taps, planes * max(1.0, levels / 2)


COUNTED: dict[str, Callable[[int, Quantities], tuple[float, float, float]]] = {
    "metal": _cells, "packed": _cells, "rom": _rom, "shared": _shared,
}  # fmt: skip
"""Lines, taps and crossings of a tile in each style."""
