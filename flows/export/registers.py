"""The register map of an export: SystemRDL, IP-XACT, a C header and a Python driver, all from `registers_of`."""

import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hardloom.flows.export.templates import render
from hardloom.gen.build.folder import Build
from hardloom.gen.design.axi_ports import NO_POSITION, commit_record
from hardloom.gen.design.registers import ErrorCode, Field, constants, registers_of
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.files import Contents

__all__ = ["DRIVER", "check_tools", "fixed_values", "registers"]

DRIVER = "registers/hardloom_registers.py"

SOFTWARE = {"ro": "r", "wo": "w", "rw": "rw"}
"""What software may do with a register, in SystemRDL's words."""


def check_tools() -> None:
    """Raises UserError where the packages that write IP-XACT are not installed."""
    if any(find_spec(name) is None for name in ("systemrdl", "peakrdl_ipxact")):
        raise UserError(
            "IP-XACT is written by systemrdl-compiler and peakrdl-ipxact, which are not installed; run: "
            "pip install 'hardloom[export]'"
        )


def fixed_values(build: Build) -> dict[str, int]:
    """Registers of the chip that always read the same, name to value."""
    model = shape_of(build.manifest.model)
    return constants(model, build.hardware.max_positions, build.hardware.sequences)


def registers(build: Build) -> Iterator[tuple[str, Contents]]:
    """All files of the register map."""
    known = names(build)
    rdl = render("registers.rdl", **known)
    yield "registers/hardloom.rdl", rdl
    yield "registers/hardloom.xml", ip_xact(rdl, build.manifest.tool_version)
    yield "registers/hardloom.h", render("registers.h", **known)
    yield DRIVER, render("registers.py", **known)


def names(build: Build) -> dict[str, Any]:
    """What the templates know."""
    record = [Field(name, part.offset, part.width, "") for name, part in commit_record()]
    return {
        "registers": sorted(registers_of(build.hardware.adapter_rank), key=lambda r: r.address),
        "adapters": build.hardware.adapter_rank > 0,
        "errors": list(ErrorCode),
        "fixed": fixed_values(build),
        "record": record,
        "no_position": NO_POSITION,
        "software": SOFTWARE,
    }


def ip_xact(rdl: str, version: str) -> str:
    """The register map `rdl` as IP-XACT (IEEE 1685-2014)."""
    from peakrdl_ipxact import IPXACTExporter
    from systemrdl import RDLCompiler

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "hardloom.rdl", Path(folder) / "hardloom.xml"
        source.write_text(rdl)
        compiler = RDLCompiler()
        compiler.compile_file(str(source))
        exporter = IPXACTExporter(vendor="hardloom", library="chips", version=version)
        exporter.export(compiler.elaborate("hardloom"), str(target), component_name="hardloom")
        return target.read_text()
