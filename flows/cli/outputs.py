"""Files that a command writes where it is told to: what is there already is replaced by its like alone."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from hardloom.flows.cli.paths import plain, written
from hardloom.flows.design.cost.shapes import STORED
from hardloom.verif.simulators.coverage import HEADER as COVERAGE_HEADER

__all__ = [
    "CHIP_PAGE",
    "CONTRACT",
    "COST_MODEL",
    "COVERAGE",
    "FRONT",
    "HARDWARE",
    "LOGITS",
    "PAGE",
    "PICTURE",
    "REPORT",
    "SENSITIVITY",
    "Output",
]


READ = 64 << 20
"""Bytes of a file that are looked at; of a model's cost in JSON there are some 100 KiB."""


@dataclass(frozen=True)
class Output:
    """A kind of file that commands write.

    Attributes
    ----------
    name: what it is, in a sentence.
    like: whether bytes, the first `READ` of a file whose path is given, are of such a file.
    suffixes: that its name may end in; any without.
    beside: name and kind of a second file, in the same folder.
    """

    name: str
    like: Callable[[Path, bytes], bool]
    suffixes: tuple[str, ...] = ()
    beside: tuple[tuple[str, "Output"], ...] = ()

    def path(self, text: object) -> Path:
        """The parser of an option that names such a file to write.

        `typer.BadParameter` where another option reads or writes it, where nothing can be written there, and where
        something is there that is not its like: a link, whatever is no regular file, and a file of any other contents.
        An empty file is anybody's.
        """
        found = plain(text)
        if self.suffixes and found.suffix not in self.suffixes:
            wanted, ends = (" nor ".join(s[1:].upper() for s in self.suffixes), " or ".join(self.suffixes))
            raise typer.BadParameter(f"{found} is neither {wanted}; give a name that ends in {ends}")
        beside = [(found.with_name(name), kind) for name, kind in self.beside]
        written(found, found, *(path for path, _ in beside))
        check_place(found)
        for path, kind in ((found, self), *beside):
            kind.check_like(path)
        return found

    def check_like(self, path: Path) -> None:
        """`typer.BadParameter` where something else than such a file is at `path`."""
        if path.is_symlink():
            raise typer.BadParameter(f"{path} is a link, and no link is written over; name the file itself")
        if not path.exists():
            return
        if not path.is_file():
            raise typer.BadParameter(f"{path} is no regular file; name a file to write")
        with path.open("rb") as file:
            held = file.read(READ)
        if held and not self.like(path, held):
            raise typer.BadParameter(
                f"{path} is there already and is no {self.name}, which would be written over it; name a new file, or "
                "move this one away"
            )


def check_place(path: Path) -> None:
    """`typer.BadParameter` where no file can be made at `path`: its folder, or the nearest one there is."""
    folder = next(folder for folder in path.absolute().parents if folder.exists() or folder.is_symlink())
    if not folder.is_dir():
        raise typer.BadParameter(f"{path} lies in {folder}, which is no folder; name a file elsewhere")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"{path} lies in {folder}, where nothing can be written; name a file elsewhere")


def json_like(like: Callable[[Any], bool]) -> Callable[[Path, bytes], bool]:
    """Whether bytes are JSON of which `like` is true, as one of `Output`."""

    def check(path: Path, held: bytes) -> bool:
        try:
            return like(json.loads(held))
        except (ValueError, RecursionError):
            return False

    return check


def has_fields(value: Any, needed: set[str], known: set[str] | None = None) -> bool:
    """Whether `value` is a JSON object with all fields of `needed`, and, where they are given, of `known` alone."""
    return isinstance(value, dict) and needed <= value.keys() and (known is None or value.keys() <= known)


def hardware_like(value: Any) -> bool:
    from hardloom.gen.design.hardware import HardwareConfig

    return has_fields(value, {"lanes", "max_positions", "style", "slices"}, {*HardwareConfig.__dataclass_fields__})


def front_like(value: Any) -> bool:
    needed = {"lanes", "options", "area_mm2", "energy_pj", "tokens_per_s"}
    return isinstance(value, list) and bool(value) and all(has_fields(point, needed) for point in value)


def counts_like(path: Path, held: bytes) -> bool:
    line = json_like(lambda value: has_fields(value, {"shape", "quantities"}))
    return all(line(path, text) for text in held.splitlines())


def picture_like(path: Path, held: bytes) -> bool:
    if path.suffix == ".png":
        return held.startswith(b"\x89PNG\r\n\x1a\n")
    return held.lstrip().startswith((b"<?xml", b"<svg")) and b"<svg" in held[:2000]


def report_like(path: Path, held: bytes) -> bool:
    from hardloom.flows.synth.report import is_report

    return is_report(held)


def chip_page_like(path: Path, held: bytes) -> bool:
    from hardloom.flows.report.page import is_page

    return is_page(held)


def page_like(path: Path, held: bytes) -> bool:
    from hardloom.flows.bench.llm_page import is_page

    return is_page(held)


CONTRACT = Output(
    "contract of `hardloom calibrate`",
    json_like(lambda value: has_fields(value, {"numerics", "calibration"}, {"numerics", "calibration"})),
)
SENSITIVITY = Output(
    "record of `hardloom sensitivity`",
    json_like(lambda value: has_fields(value, {"checkpoint", "text", "tokens", "weights", "activations"})),
)
LOGITS = Output("file of NumPy", lambda path, held: held.startswith(b"\x93NUMPY"))
COVERAGE = Output(
    "coverage of `hardloom verify`",
    lambda path, held: held.startswith(b"TN:\nSF:" if path.suffix == ".info" else COVERAGE_HEADER.encode()),
    (".info", ".dat"),
)
HARDWARE = Output("hardware file of `hardloom explore`", json_like(hardware_like))
FRONT = Output("Pareto front of `hardloom explore`", json_like(front_like))
PICTURE = Output("picture of that name", picture_like, (".png", ".svg"))
REPORT = Output("report of `hardloom synth`", report_like)
CHIP_PAGE = Output("page of `hardloom report`", chip_page_like)
PAGE = Output("page with the marks of `hardloom bench llm`", page_like)
COUNTS = Output("file of what `hardloom bench tiles` counts", counts_like)
COST_MODEL = Output(
    "cost model of `hardloom bench tiles`",
    json_like(lambda value: has_fields(value, {"command", "library", "styles", "tiles"})),
    beside=((STORED.name, COUNTS),),
)
