"""Where wires reach the pins of a cell: a node of met1 on a shape of the pin, or a contact near a node, one a pin.

Contacts of all pins of a cell are chosen together, so that their pads keep their distance from each other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from hardloom.flows.layout.cells import POWER, Macro, Rect
from hardloom.flows.layout.technology import CONTACT, CONTACT_PADS, OFFSET, PADS, ROW, SITE, SPACING, STEP, at
from hardloom.golden.errors import UserError

__all__ = ["Access", "access"]

FARTHEST = 95
"""nm from a contact to its node, in x or in y: the pad still overlaps the wire."""
KEPT = 6
"""Candidates of a pin that are tried with those of the others."""
WIRE = 70
"""Half the width of a wire of met1."""


@dataclass(frozen=True)
class Access:
    """Of a pin, in its cell. nodes: x and y of those that are it; via, middle: of its contact, if it needs one."""

    nodes: tuple[tuple[int, int], ...]
    via: str = ""
    middle: tuple[int, int] = (0, 0)

    @property
    def pad(self) -> Rect | None:
        """The contact's pad on met1."""
        if not self.via:
            return None
        (x, y), (wide, high) = self.middle, CONTACT_PADS[self.via]
        return x - wide, y - high, x + wide, y + high


def access(macro: Macro) -> dict[str, Access]:
    """Of every pin of signals. Raises UserError where a pin cannot be reached."""
    signals = {pin: shapes for pin, shapes in macro.pins.items() if pin not in (*POWER, "VNB", "VPB")}
    metal = {pin: [rect for layer, rect in shapes if layer == "met1"] for pin, shapes in macro.pins.items()}
    blocked = [rect for layer, rect in macro.obstacles if layer == "met1"]
    found = {pin: Access(tuple(nodes_on(metal[pin], macro))) for pin in signals if metal[pin]}
    choices: dict[str, list[tuple[float, Access]]] = {}
    for pin in signals.keys() - found.keys():
        others = blocked + [rect for other, rects in metal.items() if other != pin for rect in rects]
        local = [rect for layer, rect in signals[pin] if layer == "li1"]
        ranked = sorted(contacts(local, others, macro), key=lambda choice: (choice[0], choice[1].middle, choice[1].via))
        choices[pin] = ranked[:KEPT]
    if missing := [pin for pin, ranked in choices.items() if not ranked]:
        raise UserError(f"{macro.name}: pin {missing[0]} cannot be reached from the grid; leave this cell out")
    return found | best(choices)


def nodes_on(rects: list[Rect], macro: Macro) -> Iterator[tuple[int, int]]:
    """Nodes whose wire lies within one of the rectangles."""
    for x, y in nodes(macro):
        here = at(x, y)
        if any(inside((here[0] - WIRE, here[1] - WIRE, here[0] + WIRE, here[1] + WIRE), rect) for rect in rects):
            yield x, y


def nodes(macro: Macro) -> Iterator[tuple[int, int]]:
    return ((x, y) for x in range(macro.width // SITE) for y in range(1, ROW // STEP[1] - 1))


def contacts(local: list[Rect], others: list[Rect], macro: Macro) -> Iterator[tuple[float, Access]]:
    """Contacts within shapes of li1 whose pads keep clear of other metal, and what speaks against each."""
    rooms = [(left + CONTACT, bottom + CONTACT, right - CONTACT, top - CONTACT)
             for left, bottom, right, top in [*local, *joined(local)]]  # fmt: skip
    rooms = [room for room in rooms if room[0] <= room[2] and room[1] <= room[3]]
    for x, y in nodes(macro):
        here = at(x, y)
        for room in rooms:
            middle = (min(max(here[0], room[0]), room[2]), min(max(here[1], room[1]), room[3]))
            shift = abs(middle[0] - here[0]), abs(middle[1] - here[1])
            if max(shift) > FARTHEST:
                continue
            for number, via in enumerate(CONTACT_PADS):
                found = Access(((x, y),), via, middle)
                if found.pad and all(clear(found.pad, rect) for rect in others):
                    yield (
                        sum(shift) + 30.0 * number + 60.0 * sum(not clear(via_pad(x, y), rect) for rect in others),
                        found,
                    )


def joined(rects: list[Rect]) -> Iterator[Rect]:
    """Rectangles that lie across two that touch."""
    for a, b in product(rects, rects):
        low, high = max(a[1], b[1]), min(a[3], b[3])
        if a[0] <= b[0] <= a[2] and low < high:
            yield a[0], low, max(a[2], b[2]), high
        left, right = max(a[0], b[0]), min(a[2], b[2])
        if a[1] <= b[1] <= a[3] and left < right:
            yield left, a[1], right, max(a[3], b[3])


def best(choices: Mapping[str, list[tuple[float, Access]]]) -> dict[str, Access]:
    """One contact a pin, so that together least speaks against them."""
    pins, least, chosen = sorted(choices), float("inf"), tuple[tuple[float, Access], ...]()

    def extend(taken: tuple[tuple[float, Access], ...], cost: float) -> None:
        nonlocal least, chosen
        if cost >= least:
            return
        if len(taken) == len(pins):
            least, chosen = cost, taken
            return
        for choice in choices[pins[len(taken)]]:
            extend((*taken, choice), cost + choice[0] + sum(clash(choice[1], other) for _, other in taken))

    extend((), 0.0)
    return {pin: one for pin, (_, one) in zip(pins, chosen, strict=True)}


def clash(a: Access, b: Access) -> float:
    """What speaks against two contacts together."""
    (ax, ay), (bx, by) = a.nodes[0], b.nodes[0]
    cost = 0.0 if a.pad is None or b.pad is None or clear(a.pad, b.pad) else 1e6
    for one, (x, y) in ((a, (bx, by)), (b, (ax, ay))):
        cost += 500.0 if one.pad and not clear(one.pad, via_pad(x, y)) else 0.0
    if not clear(via_pad(ax, ay), via_pad(bx, by)):
        cost += 500.0
    return cost + (100.0 if ax == bx else 0.0)


def via_pad(x: int, y: int) -> Rect:
    """Of a via to met2 on a node, on met1."""
    (wide, high), (left, bottom) = PADS[0][0], at(x, y)
    return left - wide, bottom - high, left + wide, bottom + high


def clear(a: Rect, b: Rect) -> bool:
    """Whether two shapes of met1 keep their distance."""
    x, y = max(a[0] - b[2], b[0] - a[2], 0), max(a[1] - b[3], b[1] - a[3], 0)
    return x * x + y * y >= SPACING[0] ** 2


def inside(a: Rect, b: Rect) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


assert (STEP[0] // 2, STEP[1] // 2) == OFFSET, "a cell that is turned over has its nodes where it had them"
