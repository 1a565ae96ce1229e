"""Axes of the page's plots, and places of labels that do not lie over each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

__all__ = ["LinearAxis", "LogAxis", "label_places"]

TICKS = 6
"""Of a linear axis, about."""


@dataclass(frozen=True)
class LinearAxis:
    """From 0 to `high`, `size` wide."""

    high: float
    size: float

    def place(self, value: float) -> float:
        return round(value * self.size / max(self.high, 1e-9), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers, with their places."""
        rough = max(self.high, 1e-9) / TICKS
        decade = 10.0 ** floor(log10(rough))
        step = next(decade * factor for factor in (1, 2, 5, 10) if decade * factor >= rough)
        return [(self.place(n * step), f"{n * step:,g}") for n in range(floor(self.high / step) + 1)]


@dataclass(frozen=True)
class LogAxis:
    """From below the least of some values to above the largest, on a logarithmic scale, `size` wide."""

    low: float
    high: float
    size: float

    @classmethod
    def over(cls, values: Iterable[float], size: float) -> "LogAxis":
        """With some room around the values, all above 0."""
        logs = [log10(value) for value in values]
        room = max(0.06 * (max(logs) - min(logs)), 0.05)
        return cls(min(logs) - room, max(logs) + room, size)

    def place(self, value: float) -> float:
        return round((log10(value) - self.low) / (self.high - self.low) * self.size, 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Powers of ten, with their places; 2 and 5 times them too where there are few."""
        factors = (1,) if self.high - self.low > 3 else (1, 2, 5)
        powers = range(floor(self.low), ceil(self.high))
        values = [factor * 10.0**power for power in powers for factor in factors]
        return [
            (self.place(v), f"{v:,.0f}" if v >= 1 else f"{v:g}") for v in values if self.low <= log10(v) <= self.high
        ]


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def over(self, other: "Box") -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


LETTER, LINE, APART = 5.7, 13.0, 8.0
"""Width of a letter, height of a line, and how far a label stands from its point, in the unit of a drawing."""


def label_places(
    points: Sequence[tuple[float, float, str]], size: tuple[float, float]
) -> list[tuple[float, float, str]]:
    """Where the labels of points stand: x, y of the text's base line and `start`, `middle` or `end` of the text there.

    points: x, y and label, in order of importance. Each label takes, of the places around its point, the one where
    it covers least of points and of labels before it and leaves the drawing least.
    """
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points]
    found = []
    for x, y, label in points:
        width = LETTER * len(label)
        places = around(x, y)
        boxes = [box_of(left, top, anchor, width) for left, top, anchor in places]
        costs = [badness(box, taken, size) for box in boxes]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        found.append(places[best])
    return found


def around(x: float, y: float) -> list[tuple[float, float, str]]:
    """Places of a label, the best first: right, left, above, below, corners, and corners a line farther."""
    above, level, below = y - APART, y + 4, y + APART + 9
    sides = [(x + APART, level, "start"), (x - APART, level, "end"), (x, above, "middle"), (x, below, "middle")]
    corners = [above, below, above - LINE, below + LINE]
    return [*sides, *((x + d, v, side) for v in corners for d, side in ((4, "start"), (-4, "end")))]


def box_of(x: float, y: float, anchor: str, width: float) -> Box:
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return Box(left, y - LINE + 3, left + width, y + 3)


def badness(box: Box, taken: Sequence[Box], size: tuple[float, float]) -> float:
    """What a label there covers, and what of it is outside of a drawing of that size."""
    outside = LETTER * LINE * (max(0.0, -box.left) + max(0.0, box.right - size[0]) + max(0.0, -box.top))
    return sum(box.over(other) for other in taken) + outside
