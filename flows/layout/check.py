"""A tile's GDS looked at anew, by KLayout: what is connected, and what comes too near to something else.

Nothing of the router is asked: nets are extracted from the shapes of li1 to met4, cells' own among them, and every
shape of every pin is probed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hardloom.flows.layout.cells import Rect
from hardloom.flows.layout.gds import klayout
from hardloom.flows.layout.technology import GDS

__all__ = ["Probe", "connections", "spots"]

CONNECTED = ("li1", "mcon"), ("mcon", "met1"), ("met1", "via"), ("via", "met2"), ("met2", "via2"), ("via2", "met3"), (
    "met3", "via3"), ("via3", "met4")  # fmt: skip
RULES = {
    "met1": (140, 140, 83_000), "met2": (140, 140, 67_600), "met3": (300, 300, 240_000), "met4": (300, 300, 240_000),
    "mcon": (190, 170, 0), "via": (170, 150, 0), "via2": (200, 200, 0), "via3": (200, 200, 0),
}  # fmt: skip
"""Least space and width, in nm, and area, in square nm, of sky130's layers."""


@dataclass(frozen=True)
class Probe:
    """A shape that belongs to a net. pin: whose; layer; rect: in nm, the whole of which is metal."""

    net: str
    pin: str
    layer: str
    rect: Rect


def connections(layout: Any, probes: Iterable[Probe]) -> tuple[list[str], list[str]]:
    """Opens, a net each whose pins are on several pieces of metal; and shorts, several nets on one piece each."""
    db = klayout()
    found = db.LayoutToNetlist(db.RecursiveShapeIterator(layout, layout.top_cell(), []))
    layers = {name: found.make_polygon_layer(layout.layer(*GDS[name]), name) for name in GDS}
    for one in GDS:
        found.connect(layers[one])
    for one, other in CONNECTED:
        found.connect(layers[one], layers[other])
    found.extract_netlist()
    pieces: dict[str, dict[object, str]] = {}
    nets: dict[object, set[str]] = {}
    for probe in probes:
        left, bottom, right, top = probe.rect
        net = found.probe_net(layers[probe.layer], db.Point((left + right) // 2, (bottom + top) // 2))
        piece: object = (probe.pin, "nothing") if net is None else (net.circuit().name, net.cluster_id)
        pieces.setdefault(probe.net, {}).setdefault(piece, probe.pin)
        nets.setdefault(piece, set()).add(probe.net)
    opens = [f"{net}: {', '.join(sorted(on.values())[:4])} apart" for net, on in sorted(pieces.items()) if len(on) > 1]
    shorts = [f"{' and '.join(sorted(on))} touch" for on in nets.values() if len(on) > 1]
    return opens, sorted(shorts)


def spots(layout: Any) -> Mapping[str, list[Rect]]:
    """Where shapes are nearer than a layer's least space, narrower than its least width, or too small, by layer and
    kind, such as `met1 space`: the box of each spot, in nm."""
    db, found = klayout(), dict[str, list[Rect]]()
    for name, (space, width, area) in RULES.items():
        region = db.Region(layout.top_cell().begin_shapes_rec(layout.layer(*GDS[name])))
        region.merge()
        found[f"{name} space"] = [boxed(pair.bbox()) for pair in region.space_check(space).each()]
        found[f"{name} width"] = [boxed(pair.bbox()) for pair in region.width_check(width).each()]
        small = region.with_area(0, area, False) if area else db.Region()
        found[f"{name} area"] = [boxed(polygon.bbox()) for polygon in small.each()]
    return {kind: rects for kind, rects in found.items() if rects}


def boxed(box: Any) -> Rect:
    return box.left, box.bottom, box.right, box.top
