"""The drawing of the floors as SVG."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from docs.drawing.layout import BOX, LINE, Place, columns, written
from docs.drawing.rooms import ROOT, Floor

__all__ = ["PICTURE", "drawing"]

PICTURE = ROOT / "docs" / "images" / "rooms.svg"
MARGIN, INSET, HEAD, GAP = 16, 16, 58, 18
NARROW, WIDE = 30, 110  # between columns, for an arrow
COLOURS = {
    "flows": ("#fdf3e3", "#b7791f"),
    "verif": ("#f7ecf2", "#97386b"),
    "gen": ("#e8f1fa", "#2461a0"),
    "rtl_templates": ("#eef0f3", "#5a6472"),
    "golden": ("#eaf5ea", "#2f7a3c"),
}


def text(x: float, y: float, content: str, style: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}">{escape(content)}</text>'


def box(x: float, y: float, place: Place, colour: str) -> list[str]:
    """A room with its left edge at `x` and its middle at `y`."""
    top = y - place.height / 2
    lines = written(place.room)
    shape = f'x="{x:.0f}" y="{top:.0f}" width="{BOX}" height="{place.height:.0f}" rx="6" stroke="{colour}"'
    name = text(x + 10, top + 20, place.room.split(".")[1], "room")
    rest = [text(x + 10, top + 37 + LINE * k, line, "purpose") for k, line in enumerate(lines)]
    return [f'<rect {shape} fill="#ffffff"/>', name, *rest]


def ports(place: Place, others: list[Place]) -> dict[int, float]:
    """Where arrows to or from `others` touch the side of `place`: spread in the order of the others."""
    step = min(18.0, (place.height - 16) / max(len(others), 1))
    ranked = sorted(others, key=lambda other: other.y)
    return {id(other): place.y + (k - (len(ranked) - 1) / 2) * step for k, other in enumerate(ranked)}


def curves(made: list[list[Place]], lefts: list[float], middle: float, colour: str) -> list[str]:
    """The arrows between all columns."""
    drawn = []
    for k, (column, after) in enumerate(pairwise(made)):
        entries = {id(b): ports(b, [a for a in column if b in a.after]) for b in after}
        for a in column:
            leaving = ports(a, a.after)
            for b in a.after:
                x0, y0 = lefts[k] + BOX, middle + leaving[id(b)]
                x1, y1 = lefts[k + 1], middle + entries[id(b)][id(a)]
                bend = (x1 - x0) / 2
                path = f"M{x0:.0f} {y0:.1f} C{x0 + bend:.0f} {y0:.1f} {x1 - bend:.0f} {y1:.1f} {x1:.0f} {y1:.1f}"
                path += "" if b.room else f" H{x1 + BOX:.0f}"
                head = f' marker-end="url(#head-{colour[1:]})"' if b.room else ""
                drawn.append(f'<path d="{path}" stroke="{colour}"{head}/>')
    return drawn


def band(floor: Floor, made: list[list[Place]], top: float, width: float) -> tuple[list[str], float]:
    """A floor with its columns, `width` wide, whose upper edge is at `top`; and its height."""
    fill, colour = COLOURS[floor.name]
    inside = max((max(p.y + p.height / 2 for p in c) - min(p.y - p.height / 2 for p in c) for c in made), default=-12)
    height = HEAD + inside + 16
    left = MARGIN + INSET
    lines = [f'<rect x="{MARGIN}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="10" fill="{fill}"/>']
    lines.append(f'<text x="{left}" y="{top + 29:.0f}" class="floor" style="fill: {colour}">{floor.name}</text>')
    lines.append(text(left + BOX + 20, top + 28, floor.purpose, "about"))
    if floor.shelf:
        files = "beside the rooms: " + ", ".join(f"{file.split('.')[1]}.py" for file in floor.shelf)
        lines.append(f'<text x="{left + width - 2 * INSET:.0f}" y="{top + 28:.0f}" class="shelf">{files}</text>')
    if made:
        space = min(WIDE, (width - 2 * INSET - BOX * len(made)) / max(len(made) - 1, 1))
        lefts = [left + k * (BOX + space) for k in range(len(made))]
        middle = top + HEAD - 8 + inside / 2
        lines += curves(made, lefts, middle, colour)
        for at, column in zip(lefts, made, strict=True):
            lines += [line for p in column if p.room for line in box(at, middle + p.y, p, colour)]
    return lines, height


STYLE = """
text { font-family: "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif; fill: #1c2430 }
.floor { font-size: 20px; font-weight: bold }
.about { font-size: 14px }
.shelf { font-size: 13px; text-anchor: end; fill: #4a5563 }
.room { font-size: 15px; font-weight: bold }
.purpose { font-size: 11.5px; fill: #39434f }
path { fill: none; stroke-width: 1.6 }
"""


def heads() -> Iterable[str]:
    for _, colour in COLOURS.values():
        yield (
            f'<marker id="head-{colour[1:]}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" style="fill: {colour}"/></marker>'
        )


def drawing(floors: list[Floor]) -> str:
    """The picture as SVG; the same text for the same imports."""
    made = [columns(floor) if floor.rooms else [] for floor in floors]
    width = 2 * INSET - NARROW + (BOX + NARROW) * max(map(len, made))
    lines: list[str] = []
    top = float(MARGIN)
    for floor, laid in zip(floors, made, strict=True):
        drawn, height = band(floor, laid, top, width)
        lines += drawn
        top += height + GAP
    total = top - GAP + MARGIN
    size = f'width="{width + 2 * MARGIN}" height="{total:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * MARGIN} {total:.0f}" {size}>'
    back = f'<rect {size} fill="#ffffff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", "<defs>", *heads(), "</defs>", back, *lines, "</svg>"]) + "\n"
