"""Where the rooms of a floor stand in its drawing: in columns, each arrow from a column to the next."""

from dataclasses import dataclass, field
from itertools import permutations
from textwrap import wrap

from docs.drawing.rooms import Floor, direct, purpose

__all__ = ["BOX", "LINE", "Place", "columns", "written"]


BOX, LANE, BETWEEN = 180, 26, 18
LINE, LETTERS = 16, 24  # of a purpose: height, and letters that fit


@dataclass
class Place:
    """A room's box, or where a longer arrow passes a column (`room` empty)."""

    room: str
    height: float
    y: float = 0.0
    after: list["Place"] = field(default_factory=list)


def written(room: str) -> list[str]:
    """Lines of its purpose in its box."""
    return wrap(purpose(room).replace("`", ""), LETTERS)


def columns(floor: Floor) -> list[list[Place]]:
    """Rooms in columns, every arrow from a column to the next, with few crossings."""
    arrows = sorted(direct(floor.arrows))
    depth = dict.fromkeys(floor.rooms, 0)
    for _ in floor.rooms:
        for a, b in arrows:
            depth[b] = max(depth[b], depth[a] + 1)
    for _ in floor.rooms:  # towards what they import, where nothing on the left would hold them
        for room in floor.rooms:
            after = [depth[b] for a, b in arrows if a == room]
            if after and sum(a == room for a, _ in arrows) > sum(b == room for _, b in arrows):
                depth[room] = min(after) - 1
    places = {room: Place(room, 34 + LINE * len(written(room))) for room in floor.rooms}
    made: list[list[Place]] = [[] for _ in range(max(depth.values()) + 1)]
    for room, place in places.items():
        made[depth[room]].append(place)
    for a, b in arrows:
        last = places[a]
        for column in range(depth[a] + 1, depth[b]):
            passing = Place("", LANE)
            made[column].append(passing)
            last.after.append(passing)
            last = passing
        last.after.append(places[b])
    return ordered(made)


def stack(column: list[Place]) -> None:
    """Heights of the places of a column, centred on 0."""
    y = -(sum(p.height for p in column) + BETWEEN * (len(column) - 1)) / 2
    for place in column:
        place.y = y + place.height / 2
        y += place.height + BETWEEN


def cost(made: list[list[Place]]) -> float:
    """Crossings first, then how far arrows climb."""
    total = 0.0
    for column in made:
        lines = [(a.y, b.y) for a in column for b in a.after]
        total += sum(abs(a - b) for a, b in lines)
        total += sum(10_000 for x in lines for y in lines if x[0] < y[0] and x[1] > y[1])
    return total


def ordered(made: list[list[Place]]) -> list[list[Place]]:
    """The best order of each column in turn, until none changes."""
    for column in made:
        stack(column)
    best = cost(made)
    changed = True
    while changed:
        changed = False
        for k, column in enumerate(made):
            for order in permutations(column):
                stack(list(order))
                made[k] = list(order)
                if cost(made) < best - 1e-6:
                    best, column, changed = cost(made), list(order), True
            made[k] = column
            stack(column)
    return made
