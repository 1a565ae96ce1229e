"""Amaranth components as plain Verilog-2005 text, through RTLIL and the Yosys library."""

import gc
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out
from amaranth.hdl._ast import SignalDict
from amaranth.lib.wiring import Component

from hardloom.gen.text.hierarchy import ModulePart, modules
from hardloom.gen.text.names import plain_names, with_named_functions
from hardloom.gen.text.port_list import with_port_lists
from hardloom.gen.text.wide_nets import widen_nets

__all__ = ["joined", "modules_in", "to_verilog"]

PASSES = (
    *("proc -noopt", "opt_expr", "opt_merge", "opt_clean", "opt_dff -simple-dffe", "opt_clean -purge"),
    "setattr -unset init",
)
"""`opt_dff` finds enables and resets, which become `if`; it sees through no alias that `opt_clean` has left. Registers
lose their initial values: a chip has none, and in a four-state simulator they would hide a lost reset."""

MODULE = re.compile(r"(?:^//[^\n]*\n|^\n)*^module (\w+).*?^endmodule\n", re.MULTILINE | re.DOTALL)

OBJECTS = 2_000_000
"""Objects that are made before Python looks for rings among them, some 200 MiB."""

LINE = 20_000
"""Characters after which a line is broken: Verilator takes 40,000 words a line; a wide vector may have more parts."""

ZEROS = re.compile("'h0{4096,}")
"""In front of a number, more than are needed: Yosys does not read 100,000 digits, which reset a wide vector."""

RUN_YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.Pass.call(design, command)
"""


def _to_rtlil(part: ModulePart, seen: SignalDict) -> str:
    """The module's RTLIL; its signals are added to those `seen` in the parts before."""
    text, signals = rtlil.convert_fragment(part.fragment, part.ports, part.name, emit_src=False)
    if len(inside := re.findall(r"^module \\(\S+)$", text, re.MULTILINE)) > 1:
        raise ValueError(f"{inside[1]}: has no signature; what becomes a module must be a component")
    ports = SignalDict((signal, name) for name, signal, _ in part.ports)
    if strangers := [signal.name for signal in signals if len(signal) and signal in seen and signal not in ports]:
        raise ValueError(f"{part.name}: {strangers[0]} comes from another component and through no port")
    seen.update(signals.items())
    return plain_names(text, [name for name, *_ in part.ports])


def _through_yosys(text: str, folder: Path) -> str:
    """In a process of its own: Yosys orders cells by names with a counter that would go on from the call before."""
    (folder / "in.il").write_text(text)
    commands = ("read_rtlil in.il", *PASSES, "write_verilog -noattr out.v")  # names alone: a path is no command
    logged = [f"tee -q {command}" for command in commands]
    subprocess.run([sys.executable, "-P", "-c", RUN_YOSYS, *logged], cwd=folder, check=True)
    return (folder / "out.v").read_text()


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Python looks for rings of objects every `OBJECTS`, no longer every few hundred, which took half of the time."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _broken(line: str) -> str:
    """A line, or several where it is longer than `LINE`, each of which ends behind a comma."""
    lines = [""]
    for part in line.split(", "):
        if len(lines[-1]) > LINE:
            lines.append("")
        lines[-1] += f"{part}, "
    return "\n".join(one.rstrip(" ") for one in lines)[:-1]


def to_verilog(component: Component, name: str) -> str:
    """Verilog of `component` as module `name`, the components in it being `name`_... in the same text.

    Ports are `clk`, `rst` (synchronous, active high) where anything is clocked, then the signature's members joined by
    double underscores (`i__payload`). Memories stay memories; an `Instance` stays an instance of a module that is
    defined elsewhere, but for tables of constants, whose modules come last. The same component gives the same bytes.

    Raises
    ------
    ValueError: two components would get one name, a name is a keyword, a part has no signature, or a component uses a
        signal of another that is none of its ports.
    """
    widen_nets()
    texts, tables = dict[str, str](), dict[str, str]()
    seen = SignalDict()
    with _seldom_collected():
        for part in modules(component, name):
            if part.name in texts:
                raise ValueError(f"two components would both be module {part.name}")
            texts[part.name] = _to_rtlil(part, seen)
            tables |= {table.module: table.verilog() for table in part.tables}
    with tempfile.TemporaryDirectory() as folder:
        verilog = _through_yosys("".join(texts.values()), Path(folder))
    body = with_named_functions(verilog.split("*/", 1)[1].lstrip("\n"))
    body = ZEROS.sub("'h0", body)
    body = "\n".join(_broken(line) if len(line) > LINE else line for line in body.split("\n"))
    units = f"// {name}: written by hardloom from its Amaranth component\n\n{with_port_lists(body)}"
    return "\n".join([units, *tables.values()])


def modules_in(verilog: str) -> dict[str, str]:
    """Text of every module, by name, with the comment above it."""
    return {match[1]: match[0].lstrip("\n") for match in MODULE.finditer(verilog)}


def joined(texts: Iterable[str]) -> str:
    """Texts as one that has each module once: tables are in every text that uses them."""
    return "\n".join({name: module for text in texts for name, module in modules_in(text).items()}.values())
