"""The placed netlist as Verilog, and its wires as SPEF."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from hardloom.flows.layout.cells import Cells
from hardloom.flows.layout.fabric import Fabric, Spot
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Netlist
from hardloom.flows.layout.technology import CUTS, METALS, STEP

__all__ = ["spef_text", "verilog_text"]

HEAD = """*SPEF "IEEE 1481-1998"
*DESIGN "{name}"
*DATE "none"
*VENDOR "hardloom"
*PROGRAM "hardloom layout"
*VERSION "1"
*DESIGN_FLOW "NETLIST_TYPE_VERILOG"
*DIVIDER /
*DELIMITER :
*BUS_DELIMITER [ ]
*T_UNIT 1 NS
*C_UNIT 1 FF
*R_UNIT 1 OHM
*L_UNIT 1 HENRY
"""
Node = tuple[int, int, int]


def verilog_text(netlist: Netlist, names: Mapping[str, str]) -> str:
    """One module of cells. names: of instances and nets."""
    widths: dict[str, tuple[str, int]] = {}
    for port, (direction, _) in netlist.ports.items():
        bus, _, place = port.rstrip("]").partition("[")
        widths[bus] = direction, max(widths.get(bus, ("", 0))[1], int(place) + 1 if place else 0)
    heads = [f"  {direction} {f'[{width - 1}:0] ' if width else ''}{bus}" for bus, (direction, width) in widths.items()]
    nets = {net for instance in netlist.instances.values() for net in instance.pins.values()} - {SUPPLY, GROUND}
    at_ports = {net for _, net in netlist.ports.values()}
    lines = [f"module {netlist.name} (", ",\n".join(heads), ");"]
    lines += [f"  wire {names[net]};" for net in sorted(nets - at_ports)]
    constants = {SUPPLY: "1'b1", GROUND: "1'b0"}
    for port, (direction, net) in netlist.ports.items():
        value = constants.get(net, names[net])
        if direction == "output" and value != port:
            lines.append(f"  assign {port} = {value};")
    for name, instance in netlist.instances.items():
        pins = ", ".join(f".{pin}({constants.get(net, names[net])})" for pin, net in sorted(instance.pins.items()))
        lines.append(f"  {instance.cell} {names[name]} ({pins});")
    return "\n".join([*lines, "endmodule", ""])


def spef_text(
    netlist: Netlist, fabric: Fabric, edges: Sequence[np.ndarray], cells: Cells, names: Mapping[str, str]
) -> str:
    """Resistance and capacitance of every routed net, to the ground: no coupling. edges: as of `Routes`."""
    parts = [HEAD.format(name=netlist.name)]
    ends = pins_of(netlist, fabric, names)
    for number, net in enumerate(fabric.nets):
        if net not in (SUPPLY, GROUND) and len(edges[number]):
            parts.append("\n".join(net_lines(names[net], ends[net], fabric.spots[number], edges[number], cells)))
    return "\n".join([*parts, ""])


def pins_of(netlist: Netlist, fabric: Fabric, names: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Of every net, in the order of its spots: the SPEF line of a pin without its end, and its name."""
    drivers, sinks = netlist.driver(), netlist.sinks()
    found = {}
    for net in fabric.nets[2:]:
        ends = [(drivers[net], True)] if net in drivers else []
        ends += [(sink, False) for sink in sinks.get(net, ())]
        found[net] = [
            (f"*I {names[name]}:{pin} {'O' if drives else 'I'}", f"{names[name]}:{pin}")
            if name
            else (f"*P {pin} {'I' if drives else 'O'}", pin)
            for (name, pin), drives in ends
        ]
    return found


def net_lines(
    net: str, ends: Sequence[tuple[str, str]], spots: Sequence[Spot], edges: np.ndarray, cells: Cells
) -> Iterator[str]:
    """The lines of a net. Each wire has half of its capacitance at either end."""
    pieces, at_pin = list(resistors(edges, spots, cells)), dict[Node, int]()
    for number, spot in enumerate(spots):
        at_pin |= {tuple(node): number for node in spot.nodes.tolist()}
    points: dict[Node | int, str] = {}

    def point(node: Node) -> str:
        key = at_pin.get(node, node)
        if key not in points:
            points[key] = ends[key][1] if isinstance(key, int) and not spots[key].via else f"{net}:{len(points) + 1}"
        return points[key]

    loads: dict[str, float] = {}
    lines = []
    for a, b, ohms, farads in pieces:
        first, second = point(a), point(b)
        for name in (first, second):
            loads[name] = loads.get(name, 0.0) + farads / 2
        if first != second:
            lines.append(f"{first} {second} {max(ohms, 1e-3):.5g}")
    for number, spot in enumerate(spots):
        if spot.via:
            lines.append(f"{point(tuple(spot.nodes[0].tolist()))} {ends[number][1]} {cells.cuts['mcon']:.5g}")
    yield f"*D_NET {net} {1e15 * sum(loads.values()):.5g}"
    yield "*CONN"
    yield from (line for line, _ in ends)
    yield "*CAP"
    yield from (f"{number} {name} {1e15 * farads:.5g}" for number, (name, farads) in enumerate(loads.items(), 1))
    yield "*RES"
    yield from (f"{number} {line}" for number, line in enumerate(lines, 1))
    yield "*END\n"


def resistors(edges: np.ndarray, spots: Sequence[Spot], cells: Cells) -> Iterator[tuple[Node, Node, float, float]]:
    """Wires between pins, vias and branches: both ends, ohms and farads."""
    links = {tuple(sorted((tuple(a), tuple(b)))) for a, b in edges.tolist()}
    around: dict[Node, list[Node]] = {}
    for a, b in links:
        around.setdefault(a, []).append(b)
        around.setdefault(b, []).append(a)
    ends = {tuple(node) for spot in spots for node in spot.nodes.tolist()}
    ends |= {node for node, others in around.items() if len(others) != 2 or any(o[0] != node[0] for o in others)}
    for start in sorted(ends & around.keys()):
        for onward in sorted(around[start]):
            way = [start, onward]
            while way[-1] not in ends:
                way.append(next(node for node in around[way[-1]] if node != way[-2]))
            if way[0] < way[-1]:
                yield start, way[-1], *load(way, cells)


def load(way: Sequence[Node], cells: Cells) -> tuple[float, float]:
    """Ohms and farads of a wire or a via along nodes."""
    ohms = farads = 0.0
    for a, b in pairwise(way):
        if a[0] != b[0]:
            ohms += cells.cuts[CUTS[min(a[0], b[0])]]
            continue
        wire, length = cells.wires[METALS[a[0]]], STEP[0] if a[1] != b[1] else STEP[1]
        ohms += wire.ohms * length / wire.width
        farads += length * (wire.width * wire.area + 2 * wire.edge)
    return ohms, farads
