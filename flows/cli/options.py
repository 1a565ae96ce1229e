"""Options that several commands have, and what every word and number must be before a command starts."""

import math
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hardloom.flows.cli.paths import plain, read, written
from hardloom.golden.errors import UserError
from hardloom.golden.units.activations import ActivationBits

if TYPE_CHECKING:
    from hardloom.gen.design.queues import Queues

__all__ = [
    "MOST",
    "Json",
    "LayoutCells",
    "LayoutLiberty",
    "OnCluster",
    "factor",
    "folder",
    "given_file",
    "new_folder",
    "parse_bits",
    "parse_formats",
    "parse_queues",
    "positive",
    "text",
]

Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]

ADDRESS = re.compile(r"(?:[a-z]+://)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]*\w):\d{1,5}", re.ASCII)
"""Of a Dask scheduler: host and port, with a protocol or without."""


def scheduler(given: object) -> str:
    """The address of a Dask scheduler."""
    if not ADDRESS.fullmatch(str(given)):
        raise typer.BadParameter(f"{given!r} is no address of a Dask scheduler; write it like tcp://10.0.0.1:8786")
    return str(given)


OnCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        parser=scheduler,
        metavar="ADDRESS",
        help="Work on the machines of the Dask scheduler there; see docs/cluster.md.",
    ),
]

MOST = 1_000_000
"""Of anything that is counted out: far more than a command ever finishes."""


def folder(text: object) -> Path:
    """A folder that is read."""
    return read(any_folder(text))


def new_folder(text: object) -> Path:
    """A folder to write, there or to be made."""
    found = any_folder(text)
    return written(found, found)


def any_folder(text: object) -> Path:
    found = plain(text)
    if found.exists() and not found.is_dir():
        raise typer.BadParameter(f"{found} is no folder; name one")
    return found


def given_file(text: object) -> Path:
    """A file that is read."""
    found = plain(text)
    if not found.is_file():
        raise typer.BadParameter(f"{found} is no file; name one that is there")
    return read(found)


def factor(text: object) -> float:
    """A number of 1 or more."""
    if (number := positive(text)) < 1:
        raise typer.BadParameter(f"{text!r} is less than 1; give 1 or more, like 2")
    return number


def positive(text: object) -> float:
    """A number above zero, neither infinite nor none at all."""
    try:
        number = float(str(text))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise typer.BadParameter(f"{text!r} is no positive number; write it like 0.5")
    return number


def text(given: object) -> str:
    """A word or a list of words."""
    if not str(given).strip(" ,=-") or any(ord(character) < 32 for character in str(given)):
        raise typer.BadParameter(f"{given!r} is no word; give one")
    return str(given)


LayoutLiberty = Annotated[
    list[Path] | None, typer.Option("--liberty", parser=given_file, help="Liberty file of sky130_fd_sc_hd; needed.")
]
LayoutCells = Annotated[
    Path | None,
    typer.Option("--cells", parser=folder, help="Folder of sky130_fd_sc_hd. Default: the installed package sky130."),
]


def parse_formats(text: str | None) -> dict[str, str]:
    """`head=int8,down=mxfp6` to a dictionary; `UserError` for anything else. None: no kind by itself."""
    formats: dict[str, str] = {}
    for part in [] if text is None else text.split(","):
        kind, _, format = part.partition("=")
        if not kind or not format or kind in formats:
            raise UserError(
                f"--formats: {part!r} is not KIND=FORMAT, each kind once; write it like head=int8,down=mxfp6"
            )
        formats[kind] = format
    return formats


def parse_bits(text: str | None) -> dict[str, int]:
    """`8`, or `norm=10,swiglu=10`, to bits of activations by site; `UserError` for anything else. None: no site."""
    sites = [field.name for field in fields(ActivationBits)]
    if text is not None and text.isdecimal():
        return dict.fromkeys(sites, int(text))
    bits: dict[str, int] = {}
    for part in [] if text is None else text.split(","):
        site, _, number = part.partition("=")
        if site not in sites or site in bits or not number.isdecimal():
            raise UserError(
                f"--activation-bits: {part!r:.40} is neither a number nor SITE=BITS, each site once, of "
                f"{', '.join(sites)}; write it like 8 or norm=10,swiglu=10"
            )
        bits[site] = int(number)
    return bits


def parse_queues(text: str | None) -> "Queues":
    """`residual=64,routing=8` to depths, the others as by default; `UserError` for anything else."""
    from hardloom.gen.design.queues import Queues

    depths = dict[str, int]()
    for part in [] if text is None else text.split(","):
        name, _, depth = part.partition("=")
        if name not in (names := Queues.__dataclass_fields__):
            raise UserError(f"--queues: {name!r} is none of {', '.join(names)}; write it like residual=64,routing=8")
        if name in depths or not re.fullmatch(r"-?\d{1,9}", depth, re.ASCII):
            raise UserError(f"--queues: {part!r} is not {name}=DEPTH, once; write it like {name}=8")
        depths[name] = int(depth)
    return Queues(**depths)
