"""Amaranth components as plain Verilog-2005 text, through RTLIL and the Yosys library."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out
from amaranth.lib.wiring import Component

__all__ = ["LINT_WAIVERS", "to_verilog"]

PASSES = ("proc -noopt", "opt_expr", "opt_merge", "opt_dff -simple-dffe", "opt_clean -purge", "setattr -unset init")
"""Registers lose their initial values: a chip has none, and in a four-state simulator they would hide a lost reset."""

RUN_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.Pass.call(design, command)
"""

LINT_WAIVERS = {
    "CASEOVERLAP": "Yosys writes a multiplexer of one-hot selects as a casez with patterns that never meet",
    "DECLFILENAME": "a file holds a unit with its submodules",
    "UNUSEDSIGNAL": "carries and the low bits of rounded products are computed and dropped",
    "VARHIDDEN": "an instance may be called like a signal inside it",
    "WIDTHEXPAND": "Yosys relies on Verilog's own extension of operands, which is RTLIL's",
    "WIDTHTRUNC": "Yosys relies on Verilog's own truncation on assignment, which is RTLIL's",
}
"""Verilator warnings (`-Wall`) that emitted text does give, each with the reason why it may."""


def _readable(text: str) -> str:
    """RTLIL whose module names (`top.part.beats`) are made plain identifiers (`top_part_beats`)."""
    modules = re.findall(r"^module \\(\S+)$", text, re.MULTILINE)
    names = {module: re.sub(r"\W", "_", module) for module in modules}
    if len(set(names.values())) < len(names):
        raise ValueError(f"submodules of {modules[0]} whose names differ in punctuation only: {sorted(names)}")

    def replace(match: re.Match) -> str:
        return match[1] + names.get(match[2], match[2]) + match[3]

    return re.sub(r"^(module \\|  cell \\)(\S+)(.*)$", replace, text, flags=re.MULTILINE)


def _through_yosys(text: str, folder: Path) -> str:
    """In a process of its own: Yosys orders cells by names with a counter that would go on from the call before."""
    (folder / "in.il").write_text(text)
    commands = ("read_rtlil in.il", *PASSES, "write_verilog -noattr out.v")  # names alone: a path is no command
    logged = [f"tee -q {command}" for command in commands]
    subprocess.run([sys.executable, "-P", "-c", RUN_YOSYS, *logged], cwd=folder, check=True)
    return (folder / "out.v").read_text()


def to_verilog(component: Component, name: str) -> str:
    """Verilog of `component` as module `name`, its submodules being `name`_... in the same text.

    Ports are those of Amaranth: `clk`, `rst` (synchronous, active high), then the signature's members joined by
    double underscores (`i__payload`). Memories stay memories; an `Instance` stays an instance of a module that is
    defined elsewhere. The same component gives the same bytes.

    Raises
    ------
    ValueError: two submodules would get one name.
    """
    text = _readable(rtlil.convert(component, name=name, emit_src=False))
    with tempfile.TemporaryDirectory() as folder:
        verilog = _through_yosys(text, Path(folder))
    body = verilog.split("*/", 1)[1].lstrip("\n")
    return f"// {name}: written by hardloom from its Amaranth component\n\n{body}"
