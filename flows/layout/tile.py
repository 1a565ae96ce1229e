"""From an emitted tile to a placed and routed one: every step in its order.

Where weights are wires and nothing else, cells are placed and all other wires routed before the weights are looked at;
another checkpoint of the same geometry then keeps all of that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hardloom.flows.layout.buffers import buffered
from hardloom.flows.layout.cells import Cells, Shape
from hardloom.flows.layout.define import def_text
from hardloom.flows.layout.fabric import Fabric, block, fabric_of, pin_shapes, ports_at
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Netlist, map_tile, names_in_files
from hardloom.flows.layout.place import Places, floor_for, legal, spread
from hardloom.flows.layout.route import route
from hardloom.flows.layout.technology import METALS
from hardloom.flows.layout.texts import spef_text, verilog_text
from hardloom.flows.layout.wires import Wiring, closed, metal, wiring
from hardloom.flows.synth.library.library import Library
from hardloom.golden.errors import UserError

__all__ = ["Drawn", "Tile", "draw", "drawn_again"]

Progress = Callable[[str], None]
WIRED = 0.34
"""Utilisation of rows where weights are wires: they cross the whole tile."""
LOGIC = 0.36
"""Where they are logic."""


@dataclass(frozen=True)
class Tile:
    """name: its module; files: by module; apart: whether each module is mapped by itself."""

    name: str
    files: Mapping[str, Path]
    apart: bool


@dataclass(frozen=True)
class Drawn:
    """A tile in metal.

    wanted: where its mapped cells were to be, in sites and rows. edges: of every net of the fabric; wires: by net;
    conflicts: places that two nets claim, and unreached: pins without a way, none where all is well; rounds: of the
    router.
    """

    netlist: Netlist
    places: Places
    fabric: Fabric
    edges: list[np.ndarray]
    wires: dict[str, Wiring]
    conflicts: int
    unreached: int
    rounds: int
    wanted: Mapping[str, tuple[float, float]]

    @cached_property
    def names(self) -> dict[str, str]:
        """Of instances and nets in files."""
        return names_in_files(self.netlist)

    @cached_property
    def verilog(self) -> str:
        """The netlist as placed."""
        return verilog_text(self.netlist, self.names)

    def spef(self, cells: Cells) -> str:
        """Resistance and capacitance of its wires."""
        return spef_text(self.netlist, self.fabric, self.edges, cells, self.names)

    @property
    def def_text(self) -> str:
        """The tile as DEF."""
        return def_text(self.netlist, self.places, self.fabric, self.wires, self.names)

    @property
    def cells(self) -> list[str]:
        """Kinds of all that is placed."""
        return [*(one.cell for one in self.netlist.instances.values()), *(cell for cell, _, _ in self.places.others)]


def draw(tile: Tile, library: Library, cells: Cells, utilisation: float | None, say: Progress) -> Drawn:
    """Map, place and route a tile; library: of cells that may be placed.

    Raises UserError or SynthesisError where a step fails.
    """
    say("mapping")
    mapped = map_tile(tile.name, tile.files, tile.apart, library)
    say("placing")
    floor = floor_for(mapped, cells, utilisation or (WIRED if mapped.weights else LOGIC))
    wanted = spread(mapped, cells, floor)
    netlist, middles = buffered(mapped, wanted)
    places = legal(netlist, cells, floor, middles)
    fabric = fabric_of(netlist, places, cells, ports_at(netlist, places))
    later = {GROUND, SUPPLY, *netlist.weights} if netlist.weights else set[str]()
    nets = [net for net in fabric.nets if net not in later]
    first = replace(routed(netlist, places, fabric, cells, nets, say), wanted=wanted)
    return with_weights(netlist, first, cells, later, say) if later else first


def drawn_again(first: Drawn, tile: Tile, library: Library, cells: Cells, say: Progress) -> Drawn:
    """A tile of the same geometry on the cells of the first, with all of its wires but those of weights.

    Raises UserError where the geometry is another one.
    """
    say("mapping")
    mapped = map_tile(tile.name, tile.files, tile.apart, library)
    if not mapped.weights or not mapped.instances.keys() <= first.wanted.keys():
        raise UserError(f"--against: {tile.name} is not of the same prefabricated cells; give a build of one geometry")
    netlist, _ = buffered(mapped, first.wanted)
    if fixed_pins(netlist) != fixed_pins(first.netlist) or netlist.ports != first.netlist.ports:
        raise UserError(f"--against: {tile.name} is not of the same prefabricated cells; give a build of one geometry")
    return with_weights(netlist, first, cells, {GROUND, SUPPLY, *netlist.weights}, say)


def fixed_pins(netlist: Netlist) -> dict[str, tuple[str, dict[str, str]]]:
    """Cell of every instance, and nets of its pins, but for those that weights decide."""
    decided = {GROUND, SUPPLY, *netlist.weights}
    return {
        name: (one.cell, {pin: net for pin, net in one.pins.items() if net not in decided})
        for name, one in netlist.instances.items()
    }


def with_weights(netlist: Netlist, first: Drawn, cells: Cells, later: set[str], say: Progress) -> Drawn:
    """Wires of weights, and to the rails, among all others of `first`, which stay as they are."""
    fabric = fabric_of(netlist, first.places, cells, first.fabric.ports)
    for number, net in enumerate(fabric.nets):
        if net in first.wires and net not in later:
            for layer in range(len(METALS)):
                for rect in metal(first.wires[net], layer):
                    block(fabric.grid, layer, rect, number)
    found = routed(netlist, first.places, fabric, cells, [net for net in fabric.nets if net in later], say)
    kept = {net: wires for net, wires in first.wires.items() if net not in later}
    edges = [first.edges[number] if net in kept else found.edges[number] for number, net in enumerate(fabric.nets)]
    return replace(found, edges=edges, wires=kept | found.wires, wanted=first.wanted)


def routed(netlist: Netlist, places: Places, fabric: Fabric, cells: Cells, nets: list[str], say: Progress) -> Drawn:
    """Those nets routed, without a look at the others."""
    chosen = {*nets}
    spots = [each if net in chosen else each[:1] for net, each in zip(fabric.nets, fabric.spots, strict=True)]
    found = route(fabric.grid, [[spot.nodes for spot in each] for each in spots],
                  lambda left, all_: say(f"routing: {left} of {all_} nets in conflict"))  # fmt: skip
    own: dict[str, list[Shape]] = {}
    for net, _, rect in pin_shapes(netlist, places, cells, "met1"):
        own.setdefault(net, []).append(("met1", rect))
    wires = {
        net: closed(wiring(found.edges[number], fabric.spots[number]), own.get(net, []))
        for number, net in enumerate(fabric.nets)
        if net in chosen and len(fabric.spots[number]) > 1
    }
    left = found.conflicts, sum(found.unreached.values())
    return Drawn(netlist, places, fabric, found.edges, wires, *left, found.rounds, {})
