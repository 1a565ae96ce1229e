"""The Verilog of an export, file lists of it, and a FuseSoC core."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardloom.flows.export.templates import render
from hardloom.gen.build.clock_enables import enabled_chip
from hardloom.gen.build.folder import Build, file_list, verilog_files
from hardloom.gen.build.names import FILE_LIST, WAIVERS
from hardloom.golden.files import COMPRESSED, Contents

__all__ = ["ABSOLUTE", "lists", "rtl", "verilog_names"]

ABSOLUTE = "chip_absolute.f"
"""The file list with names that hold from every folder."""


def verilog_names(build: Build) -> list[str]:
    """Names in the export of all Verilog files of `build`, none of them compressed, in the order of its list."""
    return sorted(name.removesuffix(COMPRESSED) for name in verilog_files(build.files))


def rtl(build: Build, fpga: bool) -> Iterator[tuple[str, Contents]]:
    """Waivers and Verilog, each file with its text in pieces, which raise `UserError` where it has changed.

    fpga: with register enables in place of clock gates, a file at a time in memory.
    """
    names = verilog_names(build)
    yield WAIVERS, build.pieces(WAIVERS)
    if fpga:
        texts = ((Path(name), b"".join(build.pieces(name)).decode()) for name in names)
        yield from zip(names, enabled_chip(build.require_chip(), texts), strict=True)
    else:
        yield from ((name, build.pieces(name)) for name in names)


def lists(build: Build, out: Path, fpga: bool) -> Iterator[tuple[str, Contents]]:
    """Names from the folder `out` itself, from anywhere, and as a FuseSoC core (CAPI2)."""
    names = verilog_names(build)
    relative = file_list([WAIVERS, *names])
    yield FILE_LIST, relative
    yield ABSOLUTE, "".join(f"{out.resolve() / name}\n" for name in relative.splitlines())
    top = build.require_chip()
    yield f"{top}.core", core(top, build.manifest.tool_version, names, fpga)


def core(top: str, version: str, names: Sequence[str], fpga: bool) -> str:
    """A FuseSoC core of the chip `top` with Verilog files `names`; for an FPGA without a power intent."""
    quoted = [json.dumps(name) for name in names]
    return render("chip.core", top=top, version=version, waivers=WAIVERS, names=quoted, fpga=fpga)
