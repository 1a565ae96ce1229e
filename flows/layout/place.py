"""Cells of a tile in rows: Coloquinte places them, kept apart as far as their pins ask for wires.

Lengths are sites and rows. Between segments of rows stand columns of taps; every other one carries straps of power.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Any

import numpy as np

from hardloom.flows.console.silence import silence
from hardloom.flows.layout.cells import LIBRARY, Cells
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Netlist
from hardloom.flows.layout.room import WIDEST, beside, hotter
from hardloom.flows.layout.technology import ROW, SITE, STEP
from hardloom.golden.errors import UserError

__all__ = ["MARGIN_ROWS", "MARGIN_SITES", "Floor", "Places", "floor_for", "legal", "nets_of", "spread"]

DENSITY = 0.80
"""Of cells with what is kept free beside them."""
PASSES = 3
"""Times that cells are placed again, with room by the wires that cross there."""
KEPT = 0.5
"""Of what is kept free, when cells get their rows: they stand apart already where wires ask for it."""
SEGMENT = 56
"""Sites of a row between two taps: 15 um to the next one at most."""
MARGIN_SITES, MARGIN_ROWS = 10, 2
HIGH = 6
"""Coloquinte's units a row, which is 5.9 sites high."""
EFFORT = 1
TAP = f"{LIBRARY}__tapvpwrvgnd_1"
FILLERS = {8: f"{LIBRARY}__fill_8", 4: f"{LIBRARY}__fill_4", 2: f"{LIBRARY}__fill_2", 1: f"{LIBRARY}__fill_1"}


@dataclass(frozen=True)
class Floor:
    """Of a tile. segments: of a row, each of `SEGMENT` sites behind a tap; rows: their number."""

    segments: int
    rows: int

    @property
    def sites(self) -> int:
        """Of a row, taps and all; there is one behind the last segment, too."""
        return self.segments * (SEGMENT + 1) + 1

    @property
    def taps(self) -> list[int]:
        """Sites of the taps of a row, from the die's edge."""
        return [MARGIN_SITES + number * (SEGMENT + 1) for number in range(self.segments + 1)]

    @property
    def nodes(self) -> tuple[int, int]:
        """Of the router's grid on the whole die, in x and in y."""
        return self.sites + 2 * MARGIN_SITES, (self.rows + 2 * MARGIN_ROWS) * ROW // STEP[1]

    @property
    def die(self) -> tuple[int, int]:
        """Width and height, in nm."""
        return self.nodes[0] * STEP[0], self.nodes[1] * STEP[1]

    @property
    def straps(self) -> list[tuple[int, str]]:
        """Sites of straps of met4, on a column of taps, and their nets."""
        return [(site, ("VGND", "VPWR")[number % 2]) for number, site in enumerate(self.taps)]


@dataclass
class Places:
    """Where cells stand. site, row: of the lower left corner, by instance; sites: that it is wide; others: cells
    without a net."""

    floor: Floor
    site: dict[str, int]
    row: dict[str, int]
    sites: dict[str, int]
    others: list[tuple[str, int, int]] = field(default_factory=list)

    def corner(self, name: str) -> tuple[int, int]:
        """In nm."""
        return self.site[name] * SITE, self.row[name] * ROW


def floor_for(netlist: Netlist, cells: Cells, utilisation: float) -> Floor:
    """A square that holds the cells at a utilisation of its rows."""
    sites = sum(cells.macro(instance.cell).width // SITE for instance in netlist.instances.values())
    side = sqrt(sites * SITE * ROW / utilisation)
    segments = max(1, round(side / SITE / (SEGMENT + 1)))
    rows = ceil(sites / utilisation / (segments * SEGMENT))
    return Floor(segments, rows + rows % 2)


def widths(netlist: Netlist, cells: Cells, floor: Floor) -> tuple[np.ndarray, float]:
    """Sites of every cell, and what is to be kept free beside all of them.

    Raises UserError where the cells do not fit.
    """
    own = np.array([cells.macro(instance.cell).width // SITE for instance in netlist.instances.values()])
    room = floor.segments * SEGMENT * floor.rows * DENSITY - own.sum()
    if room < 0:
        raise UserError(f"{netlist.name}: {own.sum()} sites of cells do not fit; give a lower --utilisation")
    return own, room


def circuit_of(netlist: Netlist, floor: Floor, whole: np.ndarray) -> Any:
    """Coloquinte's circuit of a tile. whole: sites of every cell with what is kept free beside it.

    Raises UserError without Coloquinte.
    """
    try:
        import coloquinte
    except ImportError:
        raise UserError(
            "layout: needs Coloquinte and KLayout; install them with pip install 'hardloom[layout]'"
        ) from None
    count = len(whole)
    circuit = coloquinte.Circuit(count)
    circuit.cell_width, circuit.cell_height = whole.tolist(), [HIGH] * count
    circuit.cell_is_fixed = [False] * count
    circuit.cell_x, circuit.cell_y = [0] * count, [0] * count
    circuit.cell_row_polarity = [coloquinte.CellRowPolarity.SAME] * count
    ways = coloquinte.CellOrientation.N, coloquinte.CellOrientation.FS
    circuit.rows = [
        coloquinte.Row(coloquinte.Rectangle(tap + 1, tap + 1 + SEGMENT, row * HIGH, (row + 1) * HIGH), ways[row % 2])
        for row in range(MARGIN_ROWS, floor.rows + MARGIN_ROWS)
        for tap in floor.taps[:-1]
    ]
    for pins in nets_of(netlist):
        circuit.add_net(pins, [int(whole[cell]) // 2 for cell in pins], [HIGH // 2] * len(pins))
    return circuit


def pins_of(netlist: Netlist) -> np.ndarray:
    """Pins of every cell."""
    return np.array([len(instance.pins) for instance in netlist.instances.values()])


def nets_of(netlist: Netlist) -> list[list[int]]:
    """Cells of every net that pulls them together, by number: no rails, no clocks, and no wire that weights lead
    somewhere, so that cells stand before any checkpoint is known."""
    found: dict[str, dict[int, None]] = {}
    for number, instance in enumerate(netlist.instances.values()):
        for pin, net in instance.pins.items():
            if pin != "CLK":
                found.setdefault(net, {})[number] = None
    pulls = found.keys() - {GROUND, SUPPLY} - netlist.weights
    return [list(cells) for net, cells in found.items() if net in pulls and len(cells) > 1]


def spread(netlist: Netlist, cells: Cells, floor: Floor) -> dict[str, tuple[float, float]]:
    """About where every cell wants to be: middles, in sites and rows. Raises UserError where they do not fit.

    Placed some times over, with more room each time where more wire is to cross; but once where weights lead wires
    somewhere, for what crosses is not known then.
    """
    (own, room), pins, nets = widths(netlist, cells, floor), pins_of(netlist), nets_of(netlist)
    heat = np.ones(len(own))
    if netlist.weights:
        x, y = middles(netlist, floor, own + beside(own, pins, heat, room, SEGMENT))
        return placed_at(netlist, x, y)
    x, y = middles(netlist, floor, own + beside(own, pins, heat, room))
    for _ in range(PASSES):
        heat = hotter(heat, nets, x, y)
        x, y = middles(netlist, floor, own + beside(own, pins, heat, room))
    return placed_at(netlist, x, y)


def placed_at(netlist: Netlist, x: np.ndarray, y: np.ndarray) -> dict[str, tuple[float, float]]:
    """Middles by cell."""
    return dict(zip(netlist.instances, zip(x.tolist(), y.tolist(), strict=True), strict=True))


def middles(netlist: Netlist, floor: Floor, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every cell by global placement, in sites and in rows; whole: sites of it with what is kept free."""
    circuit = circuit_of(netlist, floor, whole)
    with silence():
        circuit.place_global(EFFORT)
    return np.array(circuit.cell_x) + whole / 2, (np.array(circuit.cell_y) + HIGH / 2) / HIGH


def legal(netlist: Netlist, cells: Cells, floor: Floor, wanted: Mapping[str, tuple[float, float]]) -> Places:
    """Every cell in a row, near where it wants to be; taps and fillers around them."""
    own, room = widths(netlist, cells, floor)
    kept, widest = (1.0, SEGMENT) if netlist.weights else (KEPT, WIDEST)
    free = beside(own, pins_of(netlist), np.ones(len(own)), kept * room, widest)
    circuit = circuit_of(netlist, floor, own + free)
    where = [wanted[name] for name in netlist.instances]
    circuit.cell_x = [round(x - wide / 2) for (x, _), wide in zip(where, own + free, strict=True)]
    circuit.cell_y = [round(y * HIGH - HIGH / 2) for _, y in where]
    with silence():
        circuit.legalize(EFFORT)
        circuit.place_detailed(EFFORT)
    sites = (np.array(circuit.cell_x) + free // 2).tolist()
    rows = (np.array(circuit.cell_y) // HIGH).tolist()
    names = list(netlist.instances)
    site, row, wide = (dict(zip(names, values, strict=True)) for values in (sites, rows, own.tolist()))
    places = Places(floor, site, row, wide)
    places.others = [*taps(floor), *fillers(floor, sites, rows, own.tolist())]
    return places


def taps(floor: Floor) -> list[tuple[str, int, int]]:
    rows = range(MARGIN_ROWS, floor.rows + MARGIN_ROWS)
    return [(TAP, site, row) for row in rows for site in floor.taps]


def fillers(floor: Floor, sites: Sequence[int], rows: Sequence[int], own: Sequence[int]) -> list[tuple[str, int, int]]:
    """Cells that fill every site that nothing else stands on."""
    taken = np.zeros((floor.rows + 2 * MARGIN_ROWS, floor.sites + 2 * MARGIN_SITES), dtype=np.int32)
    for site, row, width in zip(sites, rows, own, strict=True):
        taken[row, site : site + width] += 1
    assert taken.max() <= 1, "two cells stand on one site"
    taken[:, floor.taps] = 1
    found = []
    for row in range(MARGIN_ROWS, floor.rows + MARGIN_ROWS):
        gaps = np.flatnonzero(np.diff(np.concatenate([[1], taken[row, MARGIN_SITES:-MARGIN_SITES], [1]])))
        for start, stop in gaps.reshape(-1, 2) + MARGIN_SITES:
            for width, cell in FILLERS.items():
                while stop - start >= width:
                    found.append((cell, int(start), row))
                    start += width
    return found
