"""Constraints of an export: SDC, power intent (UPF), a LibreLane configuration, and the table of memories."""

import json
from collections.abc import Iterator

from hardloom.flows.export.lists import verilog_names
from hardloom.flows.export.power import power_intent
from hardloom.gen.build.constraints import constraints
from hardloom.gen.build.folder import Build
from hardloom.golden.files import Contents

__all__ = ["physical"]

COLUMNS = ("module", "depth", "width", "write_width", "mask_bits", "count", "macro")
"""Of the table of memories; `macro` is for its reader to fill in."""

PERIOD_NS = 50
"""Of LibreLane's first run: of a grid of cells at 130 nm, not of the chip's estimate."""


def physical(build: Build, fpga: bool, boxes: bool) -> Iterator[tuple[str, Contents]]:
    """All of these files; for an FPGA those of timing and memories; boxes: of a chip whose arrays are empty."""
    yield "constraints/chip.sdc", constraints()
    yield "macros/memories.csv", memories(build)
    if not fpga:
        yield "constraints/chip.upf", power_intent(build)
        yield "librelane/config.json", librelane(build, boxes)
        yield "librelane/chip.sdc", f"set hardloom_period $::env(CLOCK_PERIOD)\n\n{constraints()}"


def librelane(build: Build, boxes: bool) -> str:
    """A configuration for LibreLane, whose names start at its own folder."""
    fields = {
        "meta": {"version": 2},
        "DESIGN_NAME": build.require_chip(),
        "VERILOG_FILES": [f"dir::../{name}" for name in verilog_names(build, boxes)],
        "CLOCK_PORT": "clk",
        "CLOCK_PERIOD": PERIOD_NS,
        "PNR_SDC_FILE": "dir::chip.sdc",
        "SIGNOFF_SDC_FILE": "dir::chip.sdc",
    }
    return json.dumps(fields, indent=1) + "\n"


def memories(build: Build) -> str:
    """A line of CSV for each geometry of memories; mask_bits is 0 where a word is always written whole."""
    lines = [",".join(COLUMNS)]
    for facts in build.manifest.memories:
        one = facts.geometry
        masks = one.parts if one.parts > 1 else 0
        lines.append(f"{facts.module},{one.depth},{one.width},{one.write_width},{masks},{facts.count},")
    return "\n".join([*lines, ""])
