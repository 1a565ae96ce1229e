"""DEF of a tile: die, rows, cells, ports, power and wires."""

from collections.abc import Iterator, Mapping

from hardloom.flows.layout.cells import LIBRARY
from hardloom.flows.layout.fabric import PATCH, RAIL, STRAP, Fabric, port_rect, rails, stack_middles
from hardloom.flows.layout.netlist import Netlist
from hardloom.flows.layout.place import MARGIN_ROWS, MARGIN_SITES, Places
from hardloom.flows.layout.technology import METALS, ROW, SITE, VIAS, WIDTH, at
from hardloom.flows.layout.wires import Wiring

__all__ = ["def_text"]

WAYS = "N", "FS"


def def_text(
    netlist: Netlist, places: Places, fabric: Fabric, wires: Mapping[str, Wiring], names: Mapping[str, str]
) -> str:
    """The whole file. wires: by net; names: of instances and nets, as the file has them."""
    floor = places.floor
    wide, high = floor.die
    lines = ["VERSION 5.8 ;", 'DIVIDERCHAR "/" ;', 'BUSBITCHARS "[]" ;', f"DESIGN {netlist.name} ;",
             "UNITS DISTANCE MICRONS 1000 ;", f"DIEAREA ( 0 0 ) ( {wide} {high} ) ;"]  # fmt: skip
    for row in range(floor.rows):
        y, way = (row + MARGIN_ROWS) * ROW, WAYS[(row + MARGIN_ROWS) % 2]
        lines.append(f"ROW row_{row} unithd {MARGIN_SITES * SITE} {y} {way} DO {floor.sites} BY 1 STEP {SITE} 0 ;")
    lines += section("COMPONENTS", components(netlist, places, names))
    lines += section("PINS", pins(netlist, places, fabric, names))
    lines += section("SPECIALNETS", power(places, wires))
    lines += section("NETS", nets(netlist, fabric, wires, names))
    return "\n".join([*lines, "END DESIGN", ""])


def section(name: str, entries: Iterator[str]) -> list[str]:
    found = list(entries)
    return [f"{name} {len(found)} ;", *found, f"END {name}"]


def components(netlist: Netlist, places: Places, names: Mapping[str, str]) -> Iterator[str]:
    for name, instance in netlist.instances.items():
        x, y = places.corner(name)
        yield f"- {names[name]} {instance.cell} + PLACED ( {x} {y} ) {WAYS[places.row[name] % 2]} ;"
    for number, (cell, site, row) in enumerate(places.others):
        kind = cell.removeprefix(f"{LIBRARY}__").split("_")[0]
        yield f"- {kind}_{number} {cell} + SOURCE DIST + PLACED ( {site * SITE} {row * ROW} ) {WAYS[row % 2]} ;"


def pins(netlist: Netlist, places: Places, fabric: Fabric, names: Mapping[str, str]) -> Iterator[str]:
    for port, (direction, net) in netlist.ports.items():
        layer, x, y = fabric.ports[port]
        here, rect = at(x, y), port_rect(places.floor, layer, x, y)
        corners = f"( {rect[0] - here[0]} {rect[1] - here[1]} ) ( {rect[2] - here[0]} {rect[3] - here[1]} )"
        yield (f"- {port} + NET {names[net]} + DIRECTION {direction.upper()} + USE SIGNAL + LAYER {METALS[layer]} "
               f"{corners} + PLACED ( {here[0]} {here[1]} ) N ;")  # fmt: skip


def power(places: Places, wires: Mapping[str, Wiring]) -> Iterator[str]:
    """Rails, straps, and the vias between them; what ties pins to a rail with them."""
    floor = places.floor
    left, right = MARGIN_SITES * SITE, (floor.nodes[0] - MARGIN_SITES) * SITE
    low, top = MARGIN_ROWS * ROW, (MARGIN_ROWS + floor.rows) * ROW
    for net, use in (("VPWR", "POWER"), ("VGND", "GROUND")):
        parts = [
            f"met1 {RAIL} + SHAPE FOLLOWPIN ( {left} {row * ROW} ) ( {right} * )"
            for row, name in rails(floor)
            if name == net
        ]
        parts += [
            f"met4 {STRAP} + SHAPE STRIPE ( {at(site, 0)[0]} {low} ) ( * {top} )"
            for site, name in floor.straps
            if name == net
        ]
        for x, y, name in stack_middles(floor):
            if name == net:
                parts += [f"{metal} 0 ( {x} {y} ) {via}" for metal, via in zip(METALS, VIAS, strict=False)]
                parts.append(f"met3 {2 * PATCH[1]} + SHAPE STRIPE ( {x - PATCH[0]} {y} ) ( {x + PATCH[0]} * )")
        if net in wires:
            parts += special(wires[net])
        yield f"- {net} ( * {net} ) + USE {use}\n  + ROUTED " + "\n    NEW ".join(parts) + " ;"


def special(wires: Wiring) -> Iterator[str]:
    """Wires of a net as those of a special one are written: ends as they are."""
    for layer, x0, y0, x1, y1 in wires.segments:
        half = WIDTH[layer] // 2
        ends = (x0 - half, y0, x1 + half, y1) if y0 == y1 else (x0, y0 - half, x1, y1 + half)
        yield f"{METALS[layer]} {WIDTH[layer]} ( {ends[0]} {ends[1]} ) ( {ends[2]} {ends[3]} )"
    yield from (f"met1 0 ( {x} {y} ) {via}" for via, x, y in wires.vias)
    for layer, (left, bottom, right, top) in wires.patches:
        yield f"{METALS[layer]} {top - bottom} ( {left} {(bottom + top) // 2} ) ( {right} {(bottom + top) // 2} )"


def nets(netlist: Netlist, fabric: Fabric, wires: Mapping[str, Wiring], names: Mapping[str, str]) -> Iterator[str]:
    ends: dict[str, list[str]] = {net: [] for net in fabric.nets[2:]}
    for port, (_, net) in netlist.ports.items():
        ends.setdefault(net, []).append(f"( PIN {port} )")
    for name, instance in netlist.instances.items():
        for pin, net in instance.pins.items():
            if net in ends:
                ends[net].append(f"( {names[name]} {pin} )")
    for net in fabric.nets[2:]:
        parts = list(regular(wires[net])) if net in wires else []
        routed = "\n  + ROUTED " + "\n    NEW ".join(parts) if parts else ""
        yield f"- {names[net]} {' '.join(ends[net])} + USE SIGNAL{routed} ;"


def regular(wires: Wiring) -> Iterator[str]:
    for layer, x0, y0, x1, y1 in wires.segments:
        yield f"{METALS[layer]} ( {x0} {y0} ) ( {x1} {y1} )"
    for via, x, y in wires.vias:
        yield f"{METALS[VIAS.index(via) if via in VIAS else 0]} ( {x} {y} ) {via}"
    for layer, (left, bottom, right, top) in wires.patches:
        yield f"{METALS[layer]} ( {left} {bottom} ) RECT ( 0 0 {right - left} {top - bottom} )"
