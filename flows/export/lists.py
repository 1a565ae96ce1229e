"""The Verilog of an export, file lists of it, and a FuseSoC core."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardloom.flows.export.templates import render
from hardloom.gen.arrays.ports import box, port_widths
from hardloom.gen.arrays.shells import CLOCK_GATE
from hardloom.gen.build.clock_enables import enabled_chip
from hardloom.gen.build.folder import Build, file_list, verilog_files
from hardloom.gen.build.names import FILE_LIST, WAIVERS, connection_file
from hardloom.gen.text.prefix import unprefixed
from hardloom.gen.text.ram import is_ram
from hardloom.golden.files import COMPRESSED, Contents

__all__ = ["ABSOLUTE", "lists", "rtl", "verilog_names"]

ABSOLUTE = "chip_absolute.f"
"""The file list with names that hold from every folder."""


def verilog_names(build: Build, boxes: bool = False) -> list[str]:
    """Names in the export of all Verilog files of `build`, none of them compressed, in the order of its list.

    boxes: without what stands in arrays alone.
    """
    names = sorted(name.removesuffix(COMPRESSED) for name in verilog_files(build.files))
    return [name for name in names if not (boxes and is_in_arrays(build, name))]


def is_in_arrays(build: Build, name: str) -> bool:
    """Whether a file holds a prefabricated cell of arrays: all such cells are but memories and clock gates."""
    module = unprefixed(Path(name).stem, build.manifest.module_prefix)
    return name.startswith("rtl/prefab/") and not is_ram(module) and module != CLOCK_GATE.module


def rtl(build: Build, fpga: bool, boxes: bool) -> Iterator[tuple[str, Contents]]:
    """Waivers and Verilog, each file with its text in pieces, which raise `UserError` where it has changed.

    fpga: with register enables in place of clock gates, a file at a time in memory. boxes: arrays are empty modules.
    """
    empty = array_boxes(build) if boxes else {}
    names = [name for name in verilog_names(build, boxes) if name not in empty]
    yield WAIVERS, build.pieces(WAIVERS)
    yield from empty.items()
    if fpga:
        texts = ((Path(name), b"".join(build.pieces(name)).decode()) for name in names)
        yield from zip(names, enabled_chip(build.require_chip(), texts), strict=True)
    else:
        yield from ((name, build.pieces(name)) for name in names)


def array_boxes(build: Build) -> dict[str, str]:
    """Text of every array as a black box, by its name in the export."""
    numerics, lanes, found = build.checkpoint().numerics, build.hardware.lanes, dict[str, str]()
    for array in build.arrays:
        widths = port_widths(array.activation(numerics), lanes, len(array.matrices), array.acc_width)
        found[connection_file(array.module)] = box(array.module, widths)
    return found


def lists(build: Build, out: Path, fpga: bool, boxes: bool) -> Iterator[tuple[str, Contents]]:
    """Names from the folder `out` itself, from anywhere, and as a FuseSoC core (CAPI2)."""
    names = verilog_names(build, boxes)
    relative = file_list([WAIVERS, *names])
    yield FILE_LIST, relative
    yield ABSOLUTE, "".join(f"{out.resolve() / name}\n" for name in relative.splitlines())
    top = build.require_chip()
    yield f"{top}.core", core(top, build.manifest.tool_version, names, fpga)


def core(top: str, version: str, names: Sequence[str], fpga: bool) -> str:
    """A FuseSoC core of the chip `top` with Verilog files `names`; for an FPGA without a power intent."""
    quoted = [json.dumps(name) for name in names]
    return render("chip.core", top=top, version=version, waivers=WAIVERS, names=quoted, fpga=fpga)
