"""Yosys and ABC in a process of their own: Verilog to counted gates, or to the cells of a library or an FPGA.

The way from Verilog to gates, here and nowhere else: arithmetic becomes full adders (the library's own, if it has any),
the design is flattened when it is gates already (each module is worked on once, however often it is instantiated), and
ABC sees what lies between registers and adders. For an FPGA it is Yosys' own command for it, clock gates having become
register enables.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from hardloom.flows.synth.fpga import Family, resources
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.techmap import CONSTANT, ONE_BIT, RIPPLE, full_adder_verilog, techmap_verilog
from hardloom.gen.build.clock_enables import with_clock_enables
from hardloom.gen.text.yosys import SynthesisError, link_sources, run_yosys
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file

__all__ = ["Adders", "Options", "Synthesis", "attempt"]

TO_FULL_ADDERS = (
    *("proc", "setattr -unset init w:*", "opt_expr", "opt_clean", "opt", "wreduce", "opt_clean", "alumacc", "share"),
    *("opt -fast", "memory -nomap", "opt_clean", "memory_map -rom-only", "opt -undriven -fine", "maccmap"),
)
"""Every module by itself."""

AREA = "strash; balance; &get -n; &nf; &put; topo; stime -p"
"""ABC's commands where no clock is given: area first, in linear time; balanced, or trees of ORs map badly."""

TIMED = "strash; dch -f; map -B 0.9 -D {ps}; topo; buffer -c; topo; upsize -D {ps}; dnsize -D {ps}; stime -p"
"""ABC's commands with a clock period in picoseconds."""

FAN_OUT = 8
"""Loads that an output is mapped to drive, where there is a clock: inputs of the smallest buffer, which drives inputs.

What a module is connected to is not known when it is mapped by itself; without this it would drive nothing, and a
register anything. A net that goes to many instances is one output for ABC (`Options.instances`).
"""

HERE = "/proc/self/cwd"
"""The folder of the process, for ABC: Yosys makes names whole paths for it, and the true one may hold anything."""

GATES = "techmap -map cells.v */t:hardloom_clock_gate"
"""Clock gates to the library's; in a build with a prefix they are called after theirs first."""

ADDER_LEVELS = 3
"""Times that constants are followed through full adders."""

WRITERS = {"netlist.v": "write_verilog -noattr -noexpr -simple-lhs", "netlist.json": "write_json"}
"""Commands that write the result, by the file."""

MEMORY = re.compile(r"\$mem(_v2)?$")


class Adders(Enum):
    """What additions become, the smallest first."""

    RIPPLE = "full adders, carries ripple"
    LOOKAHEAD = "full adders, the last carries looked ahead"
    GATES = "gates, carries looked ahead"
    """ABC sees all of them, and maps them for the clock; else it sees what lies between full adders."""


@dataclass(frozen=True)
class Options:
    """Of every synthesis: library, None for generic gates; clock_ns, None for area alone; seconds and memory at most.

    jobs: processes at once, where there are several modules. instances: of one module, that an output of what is mapped
        may have to drive. fpga: family, instead of a library; multipliers: whether it takes its own for products.
    """

    library: Library | None
    clock_ns: float | None = None
    jobs: int = os.cpu_count() or 1
    timeout_s: float = 900.0
    memory_gib: float = 8.0
    instances: int = 1
    fpga: Family | None = None
    multipliers: bool = True

    def key(self) -> str:
        if self.fpga is not None:
            return self.fpga.name
        driven = f" {self.instances}" if self.clock_ns is not None and self.instances > 1 else ""
        return f"{self.library.sha256 if self.library else 'generic'} {self.clock_ns}{driven}"


@dataclass(frozen=True)
class Synthesis:
    """What one module came to, the modules in it included, but for black boxes.

    Attributes
    ----------
    top: module; library: name, or None for generic gates.
    cells: library cells (or Yosys' generic gates) by kind.
    area: of the cells, in the library's unit; ge: in NAND2s (area and ge are 0 without a library).
    flip_flops: bits of them; memory_bits: of written memories, which are not in the area.
    instances: black boxes by module.
    abc_delay_ns: ABC's longest path between registers, full adders and ports, None without a library.
    longest_ns: the longest path between registers and ports, through everything, where a clock was asked for; by
        `tool`. adders: what additions became (`Adders`).
    resources: of an FPGA, by `flows.synth.fpga.RESOURCES`; without one none.
    cpu_seconds, peak_mib: of Yosys and ABC.
    """

    top: str
    library: str | None
    cells: dict[str, int]
    area: float
    ge: float
    flip_flops: int
    memory_bits: int
    instances: dict[str, int] = field(default_factory=dict)
    abc_delay_ns: float | None = None
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    longest_ns: float | None = None
    tool: str = ""
    adders: str = Adders.RIPPLE.value
    resources: dict[str, int] = field(default_factory=dict)

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self)


def attempt(
    sources: Sequence[Path],
    top: str,
    options: Options,
    adders: Adders,
    *,
    black_boxes: Sequence[Path] = (),
    netlist: Path | None = None,
    connections: Path | None = None,
    named: bool = False,
) -> Synthesis:
    """Synthesize module `top` of the Verilog `sources`, flattened, additions to `adders`; without a library, to Yosys'
    generic gates; or for an FPGA.

    black_boxes: Verilog files whose modules stay instances. netlist, connections: Verilog of the
    result to write, and what `write_json` makes of it; named: wires keep their names there. Written memories
    stay memories; memories that are only read become gates.

    Raises SynthesisError where the module fails, UserError where the library lacks a kind of cell.
    """
    library = options.library
    modules = {path.stem for path in (*sources, *black_boxes)} | {top}
    if library is not None and (shared := sorted(modules & library.cells.keys())):
        raise UserError(f"{library.files}: its cell {shared[0]} is called like a module; rename it")
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        commands = yosys_commands(sources, top, options, adders, black_boxes, where)
        outputs = {"netlist.v": netlist, "netlist.json": connections}
        if not named and (netlist is not None or connections is not None):
            commands += ["splitnets", "rename -hide w:*", "rename -enumerate -pattern n% w:*", "opt_clean -purge"]
        wanted = {name: path for name, path in outputs.items() if path is not None}
        commands += [f"{how} {name}" for name, how in WRITERS.items() if name in wanted]
        try:
            usage = run_yosys(commands, where, top, options.timeout_s, options.memory_gib)
        except SynthesisError as error:
            raise SynthesisError(f"{error} (library {library.files})" if library else str(error)) from None
        for name, path in wanted.items():
            write_file(path, (where / name).read_bytes())
        boxes = {path.stem for path in black_boxes}
        return replace(read_result(where, top, options, boxes, usage), adders=adders.value)


def yosys_commands(
    sources: Sequence[Path], top: str, options: Options, adders: Adders, black_boxes: Sequence[Path], folder: Path
) -> list[str]:
    """Yosys commands that leave `stat.json`, `memories.json` and `yosys.log` in `folder`."""
    link = link_sources if options.fpga is None else link_enabled
    boxed = [f"read_verilog -lib {link(black_boxes, folder, 'box')}"] if black_boxes else []
    commands = [*boxed, f"read_verilog {link(sources, folder, 'source')}", f"hierarchy -check -top {top}"]
    commands += TO_FULL_ADDERS if options.fpga is None else []
    if options.fpga is not None:
        commands += map_to_fpga(options.fpga, options.multipliers, top)
    elif options.library is None:
        commands += ["techmap", "opt -fast", "opt_clean -purge", *flatten(), "abc", "opt_clean -purge"]
    else:
        commands += map_to_cells(options.library, options, adders, folder)
    logged = ("read_verilog", "hierarchy", "dfflibmap", "abc -", "synth_")
    commands = [f"tee -q {'-a yosys.log ' if c.startswith(logged) else ''}{c}" for c in commands]
    return [
        *commands,
        "tee -q -o stat.json stat -json",
        "tee -q select -set memories t:$mem t:$mem_v2",
        "tee -q write_json -selected memories.json",
    ]


def link_enabled(sources: Sequence[Path], folder: Path, prefix: str) -> str:
    """As `link_sources`, with register enables in place of clock gates."""
    where = folder / f"{prefix}s"
    where.mkdir()
    for path in sources:
        (where / path.name).write_text(with_clock_enables(path, path.read_text()))
    return link_sources([where / path.name for path in sources], folder, prefix)


def map_to_fpga(family: Family, multipliers: bool, top: str) -> list[str]:
    """From Verilog to an FPGA's cells."""
    option = "" if multipliers else f" {family.no_multipliers}"
    return [family.command.format(top=top) + option, "delete t:$scopeinfo"]


def flatten() -> list[str]:
    return ["flatten -noscopeinfo", "opt_clean -purge", "opt_expr", "opt_merge", "opt_clean -purge"]


def map_to_cells(library: Library, options: Options, adders: Adders, folder: Path) -> list[str]:
    """From modules of `$fa` and word-level logic to cells."""
    files = {
        "ripple.v": RIPPLE + ONE_BIT,
        "constant.v": CONSTANT,
        "adder.v": full_adder_verilog(library),
        "cells.v": techmap_verilog(library),
        "abc.script": abc_script(options.clock_ns),
        "abc.constr": surroundings(library, options.instances),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    library.write(folder / "cells.lib")
    around = "" if options.clock_ns is None else f" -constr {HERE}/abc.constr"
    return [
        *([] if adders is Adders.RIPPLE else ["techmap -map +/techmap.v */t:$alu"]),
        *("techmap -map ripple.v", "techmap */t:$fa %n", "opt -fast", "opt_clean -purge"),
        *(["chtype -set hardloom_clock_gate */t:*_hardloom_clock_gate", GATES] if library.clock_gate else []),
        *flatten(),
        *("techmap -map constant.v */t:$fa", "simplemap", "opt_expr") * ADDER_LEVELS,
        "opt_clean -purge",
        *(map_full_adders() if library.full_adder and adders is not Adders.GATES else []),
        *("techmap -map cells.v", "techmap", "opt_expr", "opt_clean -purge"),
        *("dfflibmap -liberty cells.lib", "opt_clean"),
        *("libcache -scl -disable", f"abc -liberty {HERE}/cells.lib -script {HERE}/abc.script{around}"),
        "opt_clean -purge",
    ]


def surroundings(library: Library, instances: int) -> str:
    """For ABC: what drives an input, and the load of an output, of so many instances, in femtofarads."""
    (pin,) = library.buffer.inputs
    load = FAN_OUT * instances * pin.capacitance * library.units.farads / 1e-15
    return f"set_driving_cell {library.buffer.name}\nset_load {load:.6g}\n"


def map_full_adders() -> list[str]:
    """To the library's full adder where both outputs are used; half of one is smaller as gates."""
    used = [f"select -set {name} @read %ci1:+$fa[{name}] */t:$fa %i" for name in "XY"]
    read = "select -set read */t:* %ci1 */o:* %u */w:* %i"
    return ["splitnets", read, *used, "techmap -map adder.v @X @Y %i"]


def abc_script(clock_ns: float | None) -> str:
    script = AREA if clock_ns is None else TIMED.format(ps=round(1000 * clock_ns))
    return script.replace("; ", "\n") + "\n"


def of_fpga(result: Synthesis, kinds: Mapping[str, int], boxes: Set[str], family: Family) -> Synthesis:
    """With cells of the family; the rest of them are instances of `boxes`."""
    cells = {kind: count for kind, count in kinds.items() if kind not in boxes}
    taken = resources(family, cells)
    instances = {kind: count for kind, count in kinds.items() if kind in boxes}
    return replace(result, cells=cells, instances=instances, flip_flops=taken["registers"], resources=taken)


def read_result(folder: Path, top: str, options: Options, boxes: Set[str], usage: dict[str, float]) -> Synthesis:
    """What Yosys left in `folder`. boxes: modules that stayed instances."""
    library, family = options.library, options.fpga
    module = json.loads((folder / "stat.json").read_text())["modules"][f"\\{top}"]
    kinds: dict[str, int] = module["num_cells_by_type"]
    memories = json.loads((folder / "memories.json").read_text())["modules"].get(top, {"cells": {}})["cells"].values()
    bits = sum(
        int(m["parameters"]["WIDTH"], 2) * int(m["parameters"]["SIZE"], 2) for m in memories if MEMORY.match(m["type"])
    )
    kinds = {kind: count for kind, count in sorted(kinds.items()) if not MEMORY.match(kind)}
    delay = re.findall(r"Delay = *([\d.]+) ps", (folder / "yosys.log").read_text())
    result = Synthesis(
        top,
        library=None if library is None else library.name,
        cells={kind: count for kind, count in kinds.items() if kind.startswith("$_")},
        area=0.0,
        ge=0.0,
        flip_flops=sum(count for kind, count in kinds.items() if kind.startswith("$_") and "DFF" in kind),
        memory_bits=bits,
        instances={kind: count for kind, count in kinds.items() if not kind.startswith("$")},
        cpu_seconds=round(usage["cpu_seconds"], 2),
        peak_mib=round(usage["peak_kib"] / 1024, 1),
    )
    if family is not None:
        return of_fpga(result, kinds, boxes, family)
    if library is None:
        return result
    if missing := sorted(kind for kind in kinds if kind.startswith("$")):
        raise UserError(f"{library.files}: {top} needs {', '.join(missing)}, for which it has no cell")
    cells = {kind: count for kind, count in kinds.items() if kind in library.cells}
    area = sum(library.cells[kind].area * count for kind, count in cells.items())
    return replace(
        result,
        cells=cells,
        area=round(area, 6),
        ge=round(area / library.nand2.area, 3),
        flip_flops=sum(count for kind, count in cells.items() if library.cells[kind].kind == "flip-flop"),
        instances={kind: count for kind, count in kinds.items() if kind not in library.cells},
        abc_delay_ns=float(delay[-1]) / 1000 if delay else None,
    )
