"""The Verilog of an export, file lists of it, and a FuseSoC core."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardloom.flows.export.templates import render
from hardloom.gen.build.folder import Build, file_list, verilog_files
from hardloom.gen.build.names import FILE_LIST, WAIVERS
from hardloom.golden.files import COMPRESSED, Contents

__all__ = ["ABSOLUTE", "lists", "rtl", "verilog_names"]

ABSOLUTE = "chip_absolute.f"
"""The file list with names that hold from every folder."""


def verilog_names(build: Build) -> list[str]:
    """Names in the export of all Verilog files of `build`, none of them compressed, in the order of its list."""
    return sorted(name.removesuffix(COMPRESSED) for name in verilog_files(build.files))


def rtl(build: Build) -> Iterator[tuple[str, Contents]]:
    """Waivers and Verilog, each file with its text in pieces, which raise `UserError` where it has changed."""
    for name in (WAIVERS, *verilog_names(build)):
        yield name, build.pieces(name)


def lists(build: Build, out: Path) -> Iterator[tuple[str, Contents]]:
    """Names from the folder `out` itself, from anywhere, and as a FuseSoC core (CAPI2)."""
    names = verilog_names(build)
    relative = file_list([WAIVERS, *names])
    yield FILE_LIST, relative
    yield ABSOLUTE, "".join(f"{out.resolve() / name}\n" for name in relative.splitlines())
    top = build.require_chip()
    yield f"{top}.core", core(top, build.manifest.tool_version, names)


def core(top: str, version: str, names: Sequence[str]) -> str:
    """A FuseSoC core of the chip `top` with Verilog files `names`."""
    quoted = [json.dumps(name) for name in names]
    return render("chip.core", top=top, version=version, waivers=WAIVERS, names=quoted)
