"""Liberty files: one or several that belong together, of any encoding, in any order, as one library."""

import codecs
import gzip
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.synth.library.cell import Cell, has_logic, read_cell
from hardloom.flows.synth.library.embedded import default_liberty
from hardloom.flows.synth.library.liberty import parse_liberty
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.library.tables import read_templates
from hardloom.flows.synth.library.units import Units, read_units
from hardloom.golden.errors import UserError

__all__ = ["read_library"]

LARGEST = 2**30
"""Bytes of a file, unpacked."""
HEAD = (
    *(f"{edge}_threshold_pct_{way}" for edge in ("input", "output") for way in ("rise", "fall")),
    *(f"slew_{end}_threshold_pct_{way}" for end in ("lower", "upper") for way in ("rise", "fall")),
    *("slew_derate_from_library", "nom_voltage", "nom_temperature", "nom_process"),
)
"""Numbers of a library that timing and energy depend on."""


@dataclass(frozen=True)
class Part:
    """One file. head: units and thresholds as text by name; cells, left_out: of every name and why, in its order."""

    file: str
    name: str
    units: Units
    head: dict[str, str]
    cells: list[Cell]
    left_out: dict[str, str]


def read_library(files: Sequence[Path] = ()) -> Library:
    """The library of `files` (plain or gzip), the embedded one by default.

    Cells that can't be understood are left out, and the library says which and why. Raises UserError where a file is
    no Liberty library, where the files do not belong together, or where the whole lacks what every synthesis needs.
    """
    parts = [read_part(str(path), read_text(path)) for path in files] or [read_part("hardloom", default_liberty())]
    parts.sort(key=lambda part: (part.name, [cell.name for cell in part.cells]))
    first, cells = parts[0], dict[str, Cell]()
    left_out = {name: reason for part in parts for name, reason in part.left_out.items()}
    for part in parts:
        if differing := [name for name, value in part.head.items() if first.head[name] != value]:
            raise UserError(f"{part.file}: its {differing[0]} is not that of {first.file}; give files of one corner")
        for cell in part.cells:
            if cells.setdefault(cell.name, cell) != cell:
                raise UserError(
                    f"{part.file}: its cell {cell.name} is there twice and differs; give files of one corner"
                )
    cells = {name: cells[name] for name in sorted(cells.keys() - left_out.keys())}
    head = {name: value for name, value in first.head.items() if name in HEAD and value}
    names = ", ".join(str(path) for path in files) or first.file
    library = Library(first.name, names, cells, dict(sorted(left_out.items())), first.units, head)
    library.check()
    return library


def read_part(file: str, text: str) -> Part:
    """Raises UserError where the text is no Liberty library."""
    try:
        group = parse_liberty(text)
        templates, default = read_templates(group), group.number("default_input_pin_cap")
        units, numbers = read_units(group), {name: group.number(name) for name in HEAD}
    except ValueError as error:
        raise UserError(f"{file}: is no Liberty library ({error}); give another --liberty") from None
    cells, left_out = [], {}
    for found in group.of("cell"):
        try:
            if has_logic(found):
                cells.append(read_cell(found, templates, default))
        except ValueError as error:
            left_out[" ".join(found.args)[:80]] = str(error)
    head = {name: "" if value is None else f"{value:.12g}" for name, value in numbers.items()}
    return Part(file, " ".join(group.args)[:80] or Path(file).stem, units, vars(units) | head, cells, left_out)


def read_text(path: Path) -> str:
    """The text of a file, unpacked, whatever its encoding: what is neither UTF-8 nor marked as UTF-16 is Latin-1."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{path}: is no regular file; give a Liberty file")
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(LARGEST + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise UserError(f"{path}: is no complete gzip file; give another --liberty") from None
    if len(content) > LARGEST:
        raise UserError(f"{path}: has more than {LARGEST:,} bytes; give a Liberty file")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
