"""Floors and rooms, as the folders and the imports of their modules make them."""

import re
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

__all__ = ["ROOT", "Floor", "direct", "purpose", "read_floors"]

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "hardloom"
FLOORS = ("flows", "verif", "gen", "rtl_templates", "golden")  # from the roof down


def purpose(package: str) -> str:
    """First sentence of the docstring of `package`."""
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text()
    return re.split(r"(?<=\.)\s", text.split('"""')[1].strip())[0].replace("\n", " ")


@dataclass
class Floor:
    """A package.

    rooms: its folders, with the rooms of any floor that each imports; the first sentence of a room's `__init__.py` says
        what it is for.
    shelf: files beside the rooms, which import none.
    """

    name: str
    purpose: str
    rooms: dict[str, set[str]] = field(default_factory=dict)
    shelf: list[str] = field(default_factory=list)

    @property
    def arrows(self) -> set[tuple[str, str]]:
        """Pairs (importer, imported) of rooms of this floor, each for all imports between their modules."""
        return {(room, used) for room, uses in self.rooms.items() for used in uses if used in self.rooms}


def read_floors() -> list[Floor]:
    """All floors, from the roof down, from the imports of their modules."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    floors = []
    for name in FLOORS:
        floor = Floor(name, purpose(name))
        for module in sorted(graph.find_children(f"{PACKAGE}.{name}")):
            room, modules = module.removeprefix(f"{PACKAGE}."), {module, *graph.find_descendants(module)}
            imported = {i for m in modules for i in graph.find_modules_directly_imported_by(m)} - modules
            places = {Path(*i.split(".")[1:3]) for i in imported}
            rooms = {".".join(place.parts) for place in places if (ROOT / place).is_dir()}
            if (ROOT / room.replace(".", "/")).is_dir():
                floor.rooms[room] = rooms
            elif not rooms:
                floor.shelf.append(room)
            else:
                raise ValueError(f"{room}: a file beside the rooms imports one: {', '.join(sorted(rooms))}")
        floors.append(floor)
    return floors


def direct(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without those that others imply: a to c where a to b and b to c are there.

    `graphlib.CycleError` where there is a circle.
    """
    below: dict[str, set[str]] = {}
    for room in TopologicalSorter({a: {y for x, y in arrows if x == a} for a, _ in arrows}).static_order():
        below[room] = {r for a, b in arrows if a == room for r in (b, *below[b])}
    return {(a, b) for a, b in arrows if not any(b in below[c] for x, c in arrows if x == a)}
