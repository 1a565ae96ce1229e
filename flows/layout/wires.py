"""A net's way through the grid as wires, vias and patches of metal, in nanometres."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hardloom.flows.layout.cells import Rect, Shape
from hardloom.flows.layout.fabric import Spot
from hardloom.flows.layout.gds import klayout
from hardloom.flows.layout.technology import CONTACT_PADS, LEAST, METALS, PADS, SPACING, VIAS, WIDTH, at

__all__ = ["Segment", "Wiring", "closed", "metal", "wiring"]

Segment = tuple[int, int, int, int, int]
"""Layer, and both ends: x, y, x, y in nm."""


@dataclass(frozen=True)
class Wiring:
    """Of a net. segments: wires, of a layer's width, half of it beyond each end; vias: name, x and y; patches: layer
    and rectangle."""

    segments: list[Segment]
    vias: list[tuple[str, int, int]]
    patches: list[tuple[int, Rect]]

    @property
    def length(self) -> int:
        """Of all wires, in nm."""
        return sum(abs(x1 - x0) + abs(y1 - y0) for _, x0, y0, x1, y1 in self.segments)


def wiring(edges: np.ndarray, spots: Sequence[Spot]) -> Wiring:
    """Of a net: edges int64[n, 2, 3] between nodes (layer, x, y), and its pins."""
    links = {tuple(sorted((tuple(a), tuple(b)))) for a, b in edges.tolist()}
    flat = {link for link in links if link[0][0] == link[1][0]}
    ups = {link[0] for link in links if link[0][0] != link[1][0]}
    contacts = [spot for spot in spots if spot.via]
    vias = [(VIAS[layer], *at(x, y)) for layer, x, y in sorted(ups)]
    vias += [(spot.via, *spot.middle) for spot in contacts]
    return Wiring(list(runs(flat)), vias, list(stacked(ups, flat)))


def runs(links: set) -> Iterator[Segment]:
    """Wires as long as they go, of links between neighbours on one layer."""
    onward = dict(sorted(links))
    starts = onward.keys() - set(onward.values())
    for start in sorted(starts):
        end = onward[start]
        while end in onward:
            end = onward[end]
        yield start[0], *at(start[1], start[2]), *at(end[1], end[2])


def stacked(ups: set, flat: set) -> Iterator[tuple[int, Rect]]:
    """Metal for vias that stand on each other, where no wire makes it large enough."""
    wired = {node for link in flat for node in link}
    for layer, x, y in ups:
        if layer == 2 and (1, x, y) in ups and (2, x, y) not in wired:
            here = at(x, y)
            yield 2, (here[0] - LEAST, here[1] - PADS[2][0][1], here[0] + LEAST, here[1] + PADS[2][0][1])


def closed(wires: Wiring, others: Sequence[Shape] = ()) -> Wiring:
    """With metal in every gap of the net's own that is narrower than the least space; others: more of its shapes."""
    db, patches = klayout(), list(wires.patches)
    for layer, name in enumerate(METALS):
        region = db.Region([db.Box(*rect) for rect in metal(wires, layer)])
        for on, rect in others:
            if on == name:
                region.insert(db.Box(*rect))
        half = SPACING[layer] // 2 - 1
        gaps = region.merged().sized(half).sized(-half) - region
        for polygon in gaps.decompose_trapezoids_to_region().each():
            box = polygon.bbox()
            patches.append((layer, (box.left, box.bottom, box.right, box.top)))
    return replace(wires, patches=patches)


def metal(wires: Wiring, layer: int) -> Iterator[Rect]:
    """A net's shapes on a layer."""
    half = WIDTH[layer] // 2
    for on, x0, y0, x1, y1 in wires.segments:
        if on == layer:
            yield x0 - half, y0 - half, x1 + half, y1 + half
    for via, x, y in wires.vias:
        pads = [(0, CONTACT_PADS[via])] if via in CONTACT_PADS else zip(
            (VIAS.index(via), VIAS.index(via) + 1), PADS[VIAS.index(via)], strict=True)  # fmt: skip
        yield from ((x - wide, y - high, x + wide, y + high) for on, (wide, high) in pads if on == layer)
    yield from (rect for on, rect in wires.patches if on == layer)
