"""What a drawn tile comes to: figures of its layout, its checks and its timing."""

import time
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from hardloom.flows.design.cost.quantities import count
from hardloom.flows.design.cost.wires import wires_of
from hardloom.flows.layout.buffers import unbuffered
from hardloom.flows.layout.cells import Cells
from hardloom.flows.layout.check import Probe, connections, spots
from hardloom.flows.layout.equivalence import is_equivalent
from hardloom.flows.layout.fabric import pin_shapes, port_rect
from hardloom.flows.layout.lengths import between_cells, between_pins
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Netlist
from hardloom.flows.layout.technology import METALS, ROW, SITE
from hardloom.flows.layout.tile import Drawn, Tile
from hardloom.flows.layout.timing import least_period
from hardloom.flows.synth.library.library import Library
from hardloom.gen.arrays import ArrayPlan

__all__ = ["LayoutFigures", "figures_of", "probes"]


@dataclass(frozen=True)
class LayoutFigures:
    """Of a tile.

    Attributes
    ----------
    style, neurons, inputs: of the array.
    cells, nets: placed, without taps and fillers; nets that have wires.
    die_um: width and height; utilisation: of cells over rows.
    predicted_wirelength_um, placed_wirelength_um: of the nets between mapped cells, without ports, clocks and buffers,
        by the wire model on the area of the rows, and as Steiner trees where the cells stand.
    pins_wirelength_um, wirelength_um: of all nets, as Steiner trees of their pins where these are, and routed; without
        and with wires to the rails. detour: routed over trees, without wires to the rails.
    vias: between metals.
    opens, shorts: nets whose pins are apart, pieces of metal with several nets, by extraction.
    spacing: spots where metal or vias are too near, too narrow or too small; spots: how many of each kind.
    conflicts, unreached: places that the router left to two nets, pins without a way.
    abc_ns: longest path by ABC, full adders and wires not seen; period_ns, period_wires_ns: least period by OpenSTA of
        what is placed, without wires and with them; hold_ns: the worst slack of a hold time, with wires.
    equivalent: whether the placed netlist is proven to be the emitted text; None where that was not asked.
    seconds: that it all took.
    """

    style: str
    neurons: int
    inputs: int
    cells: int
    nets: int
    die_um: tuple[float, float]
    utilisation: float
    wirelength_um: float
    predicted_wirelength_um: float
    placed_wirelength_um: float
    pins_wirelength_um: float
    detour: float
    vias: int
    opens: int
    shorts: int
    spacing: int
    spots: dict[str, int]
    conflicts: int
    unreached: int
    abc_ns: float | None
    period_ns: float | None
    period_wires_ns: float | None
    hold_ns: float | None
    equivalent: bool | None
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether nothing is open, shorted, too near or another function."""
        faults = self.opens, self.shorts, self.spacing, self.conflicts, self.unreached
        return not any(faults) and self.equivalent is not False

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self)


def figures_of(
    tile: Tile, plan: ArrayPlan, drawn: Drawn, spef: str, layout: Any, library: Library, cells: Cells, begin: float
) -> LayoutFigures:
    """All checks of a drawn tile. spef, layout: its wires and its shapes; begin: when work began, by `time.monotonic`.

    Raises UserError or SynthesisError where a tool fails.
    """
    netlist, floor = drawn.netlist, drawn.places.floor
    opens, shorts = connections(layout, probes(drawn, cells))
    found = {kind: len(rects) for kind, rects in spots(layout).items()}
    bare, wired = (least_period(drawn.verilog, wires, netlist.name, library) for wires in (None, spef))
    mapped, trees = unbuffered(netlist, drawn.wanted), between_pins(drawn.fabric)
    rows = floor.rows * floor.sites * SITE * ROW / 1e6
    gates = area_of(mapped, library) / library.nand2.area
    predicted = wires_of(plan.style.name, plan.slices, count(plan), gates).placed * sqrt(rows)
    routed = {net: wires.length / 1000 for net, wires in drawn.wires.items()}
    return LayoutFigures(
        style=plan.style.name,
        neurons=plan.rows * plan.banks,
        inputs=plan.inputs,
        cells=len(netlist.instances),
        nets=len(drawn.wires),
        die_um=(floor.die[0] / 1000, floor.die[1] / 1000),
        utilisation=round(area_of(netlist, library) / rows, 3),
        wirelength_um=round(sum(routed.values())),
        predicted_wirelength_um=round(predicted),
        placed_wirelength_um=round(between_cells(mapped, drawn.places)),
        pins_wirelength_um=round(sum(trees.values())),
        detour=round(sum(routed[net] for net in trees) / sum(trees.values()), 3),
        vias=sum(via.startswith("M") for wires in drawn.wires.values() for via, _, _ in wires.vias),
        opens=len(opens),
        shorts=len(shorts),
        spacing=sum(found.values()),
        spots=found,
        conflicts=drawn.conflicts,
        unreached=drawn.unreached,
        abc_ns=netlist.abc_ns,
        period_ns=bare.longest_ns if bare else None,
        period_wires_ns=wired.longest_ns if wired else None,
        hold_ns=wired.hold_ns if wired else None,
        equivalent=is_equivalent(netlist, drawn.verilog, drawn.names, list(tile.files.values()), library),
        seconds=round(time.monotonic() - begin, 1),
    )


def area_of(netlist: Netlist, library: Library) -> float:
    """Of its cells, in the library's unit."""
    return sum(library.cells[one.cell].area for one in netlist.instances.values())


def probes(drawn: Drawn, cells: Cells) -> list[Probe]:
    """Every shape of every pin, and every port."""
    found = [
        Probe(net, pin, layer, rect)
        for layer in ("li1", "met1")
        for net, pin, rect in pin_shapes(drawn.netlist, drawn.places, cells, layer)
        if net in drawn.wires or net in (SUPPLY, GROUND)
    ]
    for port, (layer_, x, y) in drawn.fabric.ports.items():
        rect = port_rect(drawn.places.floor, layer_, x, y)
        found.append(Probe(drawn.netlist.ports[port][1], port, METALS[layer_], rect))
    return found
