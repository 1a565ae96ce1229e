"""Rectangles within rectangles, each as large as what it stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["SMALLEST", "Node", "Tile", "drawn", "gathered", "tiles"]

SIZE = (1000, 520)
SMALLEST = 0.002
"""Share of the whole below which parts are drawn as one."""
NAMED = (40, 14)
"""Width and height from which a tile holds its name."""
COLORS = ("#2f7fbf", "#d9682a", "#3a9a5b", "#9a5fc0", "#c2952a", "#c0567f", "#4a9aa5", "#7f8a96")

MARGIN, HEAD = 2.0, 16.0
"""Around what is in a tile, and above it, where its name stands."""


@dataclass(frozen=True)
class Node:
    """name: of a part; value: its size, with all that is in it; note: its name in full; parts: that it consists of."""

    name: str
    value: float
    note: str = ""
    parts: tuple["Node", ...] = ()


def gathered(parts: list[Node], least: float) -> tuple[Node, ...]:
    """Parts, those that are smaller than `least` as one."""
    small = [part for part in parts if 0 < part.value < least]
    large = [part for part in parts if part.value >= least]
    if small:
        large.append(Node(f"{len(small)} smaller", sum(part.value for part in small)))
    return tuple(large)


def drawn(root: Node, unit: str, digits: int = 0, links: Mapping[str, str] | None = None) -> str:
    """SVG of the root and all in it, each with its value, in `unit`, and its share; for a page, whose ink it takes.

    digits: significant ones of a value; 0: whole numbers. links: addresses that tiles lead to, by their notes.
    """
    lines = [f'<svg viewBox="0 0 {SIZE[0]} {SIZE[1]}" role="img" aria-label="Area by hierarchy" font-size="11">']
    for tile in tiles(root, *SIZE):
        value = f"{tile.node.value:,.{digits}g}" if digits else f"{tile.node.value:,.0f}"
        share = f"{tile.node.value / root.value:.1%}"
        color, opacity = ("currentColor", 0.06) if tile.depth == 0 else (COLORS[tile.group % len(COLORS)], 0.25)
        box = f'x="{tile.x}" y="{tile.y}" height="{tile.height}"'
        link = (links or {}).get(tile.node.note)
        lines += [
            *([f'<a href="{escape(link)}">'] if link else []),
            f"<g><title>{escape(tile.node.note or tile.node.name)}: {value} {unit}, {share}</title>",
            f'<rect {box} width="{tile.width}" fill="{color}" fill-opacity="{opacity}" stroke="{color}"/>',
        ]
        if tile.width >= NAMED[0] and tile.height >= NAMED[1]:
            name = f'<text x="4" y="12" fill="currentColor">{escape(tile.node.name)} {share}</text>'
            lines.append(f'<svg {box} width="{tile.width - 3}">{name}</svg>')
        lines.append("</g></a>" if link else "</g>")
    return "\n".join([*lines, "</svg>"])


@dataclass(frozen=True)
class Tile:
    """Where a node is drawn; depth: how many it is in; group: number of the outermost one but the whole."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    depth: int
    group: int


def tiles(root: Node, width: float, height: float) -> list[Tile]:
    """The root and all in it, outer ones first."""
    found: list[Tile] = []

    def place(node: Node, x: float, y: float, width: float, height: float, depth: int, group: int) -> None:
        found.append(Tile(node, round(x, 2), round(y, 2), round(width, 2), round(height, 2), depth, group))
        inner = (x + MARGIN, y + HEAD, width - 2 * MARGIN, height - HEAD - MARGIN)
        parts = sorted(
            (part for part in node.parts if part.value > 0), key=lambda part: (-round(part.value, 6), part.name)
        )
        if parts and min(inner[2:]) > MARGIN:
            for number, (part, box) in enumerate(zip(parts, squarified(parts, *inner), strict=True)):
                place(part, *box, depth + 1, number if depth == 0 else group)

    place(root, 0.0, 0.0, width, height, 0, 0)
    return found


Box = tuple[float, float, float, float]


def squarified(parts: Sequence[Node], x: float, y: float, width: float, height: float) -> list[Box]:
    """Boxes of parts, the largest first, that fill a rectangle: rows along its shorter side, each as long as its boxes
    become squarer (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000)."""
    scale = width * height / sum(part.value for part in parts)
    areas, boxes = [part.value * scale for part in parts], list[Box]()
    while areas:
        side = min(width, height)
        count = next(
            (n for n in range(1, len(areas)) if worst(areas[: n + 1], side) > worst(areas[:n], side)), len(areas)
        )
        row, areas = areas[:count], areas[count:]
        thick, along = sum(row) / side, 0.0
        for area in row:
            length = area / thick
            boxes.append((x, y + along, thick, length) if width >= height else (x + along, y, length, thick))
            along += length
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
    return boxes


def worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of sides in a row of boxes along `side`."""
    total = sum(areas)
    return max(max(side**2 * area / total**2, total**2 / (side**2 * area)) for area in areas)
