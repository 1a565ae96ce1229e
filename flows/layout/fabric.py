"""What the router works on: a grid with everything that stands there already, and the pins of every net on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hardloom.flows.layout.access import Access, access
from hardloom.flows.layout.cells import POWER, Cells, Rect
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Netlist
from hardloom.flows.layout.place import MARGIN_ROWS, MARGIN_SITES, Floor, Places
from hardloom.flows.layout.route import BLOCKED, FREE, Grid
from hardloom.flows.layout.technology import LEAST, METALS, PADS, ROW, SITE, SPACING, STEP, WIDTH, at, grown

__all__ = [
    "PATCH", "RAIL", "STRAP", "Fabric", "Spot", "block", "fabric_of", "pin_shapes", "port_rect", "ports_at", "rails",
    "stack_middles", "stacks",
]  # fmt: skip

RAIL, STRAP, PATCH = 480, 480, (380, 165)
"""Width of a rail of met1 and of a strap of met4; half of width and height of met3 where a strap goes down."""
LONG = 800, 500
"""nm of a port's shape, from the edge of the die, on met3 and on met2."""


@dataclass(frozen=True)
class Spot:
    """A pin as the router reaches it. nodes: rows of layer, x and y; via, middle: of its contact, if it needs one."""

    nodes: np.ndarray
    via: str = ""
    middle: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Fabric:
    """grid; nets: names, in their numbers' order, rails first; spots: of every net's pins, the driver first; ports:
    layer, node x and node y of each."""

    grid: Grid
    nets: list[str]
    spots: list[list[Spot]]
    ports: dict[str, tuple[int, int, int]]


def fabric_of(netlist: Netlist, places: Places, cells: Cells, ports: Mapping[str, tuple[int, int, int]]) -> Fabric:
    """The fabric of a placed tile whose ports are at those nodes (layer, x, y)."""
    sinks, drivers = netlist.sinks(), netlist.driver()
    names = [GROUND, SUPPLY, *sorted(({*sinks} | {*drivers}) - {GROUND, SUPPLY})]
    number = {name: place for place, name in enumerate(names)}
    grid = Grid.empty(*places.floor.nodes)
    spots = [[Spot(rail_nodes(places.floor, rail))] for rail in (GROUND, SUPPLY)]
    for name in names[2:]:
        ends = [drivers[name]] if name in drivers else []
        ends += sinks.get(name, [])
        spots.append([spot_of(end, netlist, places, cells, ports) for end in ends])
    for name in (GROUND, SUPPLY):
        spots[number[name]] += [spot_of(end, netlist, places, cells, ports) for end in sinks.get(name, [])]
    for layer, rect, net in standing(netlist, places, cells):
        block(grid, METALS.index(layer), rect, BLOCKED if net is None else number[net])
    for site, row in stacks(places.floor):
        grid.via_owner[:, site, row * (ROW // STEP[1]) - 1 : row * (ROW // STEP[1]) + 1] = BLOCKED
    for place, ends_ in enumerate(spots):
        for spot in ends_ if len(ends_) > 1 else []:
            if spot.via:
                block(grid, 0, pad_of(spot), place)
    for port, (edge, x, y) in ports.items():
        block(grid, edge, port_rect(places.floor, edge, x, y), number[netlist.ports[port][1]])
    return Fabric(grid, names, spots, dict(ports))


def spot_of(
    end: tuple[str, str], netlist: Netlist, places: Places, cells: Cells, ports: Mapping[str, tuple[int, int, int]]
) -> Spot:
    """Where a pin of an instance, or a port, is."""
    name, pin = end
    if not name:
        return Spot(np.array([ports[pin]]))
    found: Access = access_of(cells, netlist.instances[name].cell)[pin]
    site, row = places.site[name], places.row[name]
    flipped = row % 2 == 1
    high = ROW // STEP[1]
    nodes = np.array([(0, site + x, row * high + (high - 1 - y if flipped else y)) for x, y in found.nodes])
    x, y = found.middle
    middle = (site * SITE + x, row * ROW + (ROW - y if flipped else y))
    return Spot(nodes, found.via, middle)


_KNOWN: dict[tuple[str, str], dict[str, Access]] = {}


def access_of(cells: Cells, cell: str) -> dict[str, Access]:
    """`access` of a cell, worked out once."""
    key = (str(cells.folder), cell)
    if key not in _KNOWN:
        _KNOWN[key] = access(cells.macro(cell))
    return _KNOWN[key]


def rail_nodes(floor: Floor, net: str) -> np.ndarray:
    """Nodes on the rails of a net, but for those beside the vias of a strap."""
    high, (wide, _) = ROW // STEP[1], floor.nodes
    straps = [site for site, _ in floor.straps]
    xs = np.setdiff1d(np.arange(MARGIN_SITES, wide - MARGIN_SITES), straps)
    ys = [row * high + side for row, name in rails(floor) if name == net for side in (-1, 0)]
    return np.array([(0, x, y) for y in ys for x in xs])


def rails(floor: Floor) -> Iterator[tuple[int, str]]:
    """Rows at whose lower edge a rail is, and its net."""
    return ((row, (GROUND, SUPPLY)[row % 2]) for row in range(MARGIN_ROWS, MARGIN_ROWS + floor.rows + 1))


def stack_middles(floor: Floor) -> Iterator[tuple[int, int, str]]:
    """Where straps meet rails of their net, in nm."""
    nets = dict(floor.straps)
    yield from ((at(site, 0)[0], row * ROW, nets[site]) for site, row in stacks(floor))


def stacks(floor: Floor) -> Iterator[tuple[int, int]]:
    """Sites and rows, of the lower edge, of vias from straps to rails of their net; no via has room beside them."""
    for site, net in floor.straps:
        yield from ((site, row) for row, name in rails(floor) if name == net)


def standing(netlist: Netlist, places: Places, cells: Cells) -> Iterator[tuple[str, Rect, str | None]]:
    """Shapes of metal that are there before any wire, but for contacts; the net, None where it is nobody's."""
    floor = places.floor
    left, right = MARGIN_SITES * SITE, (floor.nodes[0] - MARGIN_SITES) * SITE
    for row, net in rails(floor):
        yield "met1", (left, row * ROW - RAIL // 2, right, row * ROW + RAIL // 2), net
    for site, net in floor.straps:
        x = at(site, 0)[0]
        yield "met4", (x - STRAP // 2, MARGIN_ROWS * ROW, x + STRAP // 2, (MARGIN_ROWS + floor.rows) * ROW), net
    for x, y, net in stack_middles(floor):
        yield "met2", grown((x, y, x, y), PADS[1][0][0], PADS[1][0][1]), net
        yield "met3", grown((x, y, x, y), *PATCH), net
    for name, instance in netlist.instances.items():
        macro = cells.macro(instance.cell)
        for pin, shapes in macro.pins.items():
            if pin not in POWER:
                own = instance.pins.get(pin)
                yield from ((layer, moved(rect, name, places), own) for layer, rect in shapes if layer == "met1")
        yield from ((layer, moved(rect, name, places), None) for layer, rect in macro.obstacles if layer == "met1")


def pin_shapes(netlist: Netlist, places: Places, cells: Cells, layer: str) -> Iterator[tuple[str, str, Rect]]:
    """Net, `instance/pin` and place of every shape of a signal's pin on a layer."""
    for name, instance in netlist.instances.items():
        for pin, net in instance.pins.items():
            for on, rect in cells.macro(instance.cell).pins[pin]:
                if on == layer:
                    yield net, f"{name}/{pin}", moved(rect, name, places)


def moved(rect: Rect, name: str, places: Places) -> Rect:
    """A shape of a cell's LEF where the instance stands."""
    x, y = places.corner(name)
    left, bottom, right, top = rect
    if places.row[name] % 2:
        bottom, top = ROW - top, ROW - bottom
    return x + left, y + bottom, x + right, y + top


def pad_of(spot: Spot) -> Rect:
    """The pad of a spot's contact on met1."""
    pad = Access(((0, 0),), spot.via, spot.middle).pad
    assert pad is not None
    return pad


def block(grid: Grid, layer: int, rect: Rect, net: int) -> None:
    """Leave nodes and vias that would come too near to a shape to its net alone.

    A via up from met3 may stand on one that comes from below, and then has a patch that is wider than its pad.
    """
    room = WIDTH[layer] // 2 + SPACING[layer] - 1
    claim(grid.owner[layer], grown(rect, room, room), net)
    for lower in (layer - 1, layer):
        if 0 <= lower < len(PADS):
            wide, high = PADS[lower][layer - lower]
            wide = LEAST if lower == layer == 2 else wide
            room = SPACING[layer] - 1
            claim(grid.via_owner[lower], grown(rect, wide + room, high + room), net)


def claim(owner: np.ndarray, rect: Rect, net: int) -> None:
    """Nodes within a rectangle become the net's; nobody's, where they are another one's."""
    (left, bottom), (dx, dy) = at(0, 0), STEP
    xs = slice(max(0, -((left - rect[0]) // dx)), max(0, (rect[2] - left) // dx + 1))
    ys = slice(max(0, -((bottom - rect[1]) // dy)), max(0, (rect[3] - bottom) // dy + 1))
    part = owner[xs, ys]
    part[...] = np.where((part == FREE) | (part == net), net, BLOCKED)


def port_rect(floor: Floor, layer: int, x: int, y: int) -> Rect:
    """Shape of a port, from the edge of the die inwards."""
    (wide, high), (here_x, here_y) = floor.die, at(x, y)
    half = WIDTH[layer] // 2
    if layer == 2:
        return (
            (0, here_y - half, LONG[0], here_y + half)
            if x == 0
            else (wide - LONG[0], here_y - half, wide, here_y + half)
        )
    return (
        (here_x - half, 0, here_x + half, LONG[1]) if y == 0 else (here_x - half, high - LONG[1], here_x + half, high)
    )


def ports_at(netlist: Netlist, places: Places) -> dict[str, tuple[int, int, int]]:
    """A node at the edge for every port, near the cells of its net: met3 left and right, met2 below and above."""
    (wide, high), rows = places.floor.nodes, ROW // STEP[1]
    sides = [(2, x, y) for x in (0, wide - 1) for y in range(8, high - 8, 4)]
    sides += [(1, x, y) for y in (0, high - 1) for x in range(8, wide - 8, 4)]
    free = np.array(sides)
    if len(netlist.ports) > len(free):
        free = np.array([(2, x, y) for x in (0, wide - 1) for y in range(8, high - 8, 2)]
                        + [(1, x, y) for y in (0, high - 1) for x in range(8, wide - 8, 2)])  # fmt: skip
    ends: dict[str, list[str]] = {}
    for name, instance in netlist.instances.items():
        for net in instance.pins.values():
            ends.setdefault(net, []).append(name)
    found = {}
    for port, (_, net) in netlist.ports.items():
        near = [(places.site[name], places.row[name] * rows) for name in ends.get(net, ())]
        x, y = np.mean(near, axis=0) if near else (wide / 2, high / 2)
        best = int(np.argmin(np.abs(free[:, 1] - x) * STEP[0] + np.abs(free[:, 2] - y) * STEP[1]))
        found[port] = tuple(int(part) for part in free[best])
        free = np.delete(free, best, axis=0)
    return found  # type: ignore[return-value]
