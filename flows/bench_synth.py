"""`hardloom bench synth`: cells of the chip by unit, after Yosys' generic `synth`.

Every module is synthesized by itself, the modules that it instantiates being black boxes, and the whole is added up
from the instances: what hierarchical synthesis comes to, in the memory of one module. Modules of two layers whose text
is the same are synthesized once. Constant ROMs become gates; memories that are written stay memories, counted in bits.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.progress import progress_bar
from gen.build import Build, sha256

__all__ = ["module_cells", "synth", "synth_figures"]

BATCH = 16
"""Modules a Yosys process."""

FINE = ("opt -fast -full", "memory_map -rom-only", "opt -full", "techmap", "opt -fast", "abc", "opt -fast", "opt_clean")
"""`synth` behind its coarse part, but for memories that are written."""

RUN_YOSYS = """
import json, sys
from pyosys import libyosys
library, jobs, fine = json.load(sys.stdin)
design = libyosys.Design()
run = lambda command: libyosys.Pass.call(design, "tee -q " + command)
run("read_verilog -lib " + " ".join(library))
run("design -save library")
for module, file, result in jobs:
    run("design -load library")
    run("read_verilog -overwrite " + file)
    run(f"synth -top {module} -run begin:fine")
    for command in fine:
        run(command)
    run("write_json " + result)
"""

SEQUENTIAL = re.compile(r"\$_\w*(DFF|DLATCH|SR)\w*_$")
MEMORY = re.compile(r"\$mem(_v2)?$")

Cells = dict[str, Any]
"""Of one module: `gates`, `registers`, `memory_bits` of its own, and `instances`, a count by module."""


def counted(module: dict[str, Any]) -> Cells:
    """Cells of one module of a `write_json` netlist."""
    gates, registers, bits, instances = 0, 0, 0, Counter()
    for cell in module["cells"].values():
        kind = cell["type"]
        if MEMORY.match(kind):
            bits += int(cell["parameters"]["WIDTH"], 2) * int(cell["parameters"]["SIZE"], 2)
        elif SEQUENTIAL.match(kind):
            registers += 1
        elif kind.startswith("$"):
            gates += 1
        else:
            instances[kind] += 1
    return {"gates": gates, "registers": registers, "memory_bits": bits, "instances": dict(instances)}


def synthesize(library: list[str], jobs: dict[str, str], folder: Path) -> dict[str, Cells]:
    """Cells of the modules `jobs` (module to file) in one Yosys process; `library` is every file they may need."""
    results = {module: folder / f"{module}.json" for module in jobs}
    work = [[module, file, str(results[module])] for module, file in jobs.items()]
    command = [sys.executable, "-c", RUN_YOSYS]
    subprocess.run(command, input=json.dumps([library, work, FINE]), text=True, check=True)
    found = {}
    for module, result in results.items():
        found[module] = counted(json.loads(result.read_text())["modules"][module])
        result.unlink()
    return found


def instantiated(text: str, modules: set[str]) -> list[str]:
    """The modules that a module's text instantiates."""
    return sorted(set(re.findall(r"^ *(\w+) +(?:#\(.*\) *)?[\w$\\]+ *\(", text, re.MULTILINE)) & modules)


def module_cells(build: Build, progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Cells]:
    """Cells of every module of a build, each by itself."""
    files = {path.stem: path for path in build.verilog()}
    texts = {module: path.read_text() for module, path in files.items()}
    alike: dict[str, list[str]] = {}
    for module, text in texts.items():
        alike.setdefault(re.sub(r"layer_\d+(?![0-9])", "layer_N", text), []).append(module)
    first = [group[0] for group in alike.values()]
    cells: dict[str, Cells] = {}
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(first), BATCH):
            batch = first[start : start + BATCH]
            needed = {name for module in batch for name in instantiated(texts[module], set(files))} - set(batch)
            jobs = {module: str(files[module].resolve()) for module in batch}
            library = [str(files[name].resolve()) for name in sorted(needed | set(batch))]
            cells |= synthesize(library, jobs, Path(folder))
            progress(min(start + BATCH, len(first)), len(first))
    for group in alike.values():
        for module in group[1:]:
            cells[module] = renamed(cells[group[0]], layer(group[0]), layer(module))
    return cells


def layer(module: str) -> str:
    found = re.search(r"layer_\d+", module)
    return found[0] if found else ""


def renamed(cells: Cells, old: str, new: str) -> Cells:
    """The same cells, instances being those of another layer."""
    names = {re.sub(rf"{old}(?![0-9])", new, name): count for name, count in cells["instances"].items()}
    return cells | {"instances": names}


def total(cells: dict[str, Cells], module: str) -> Counter:
    """Gates, registers and memory bits of a module with everything in it."""
    own = cells[module]
    sums = Counter({name: own[name] for name in ("gates", "registers", "memory_bits")})
    for name, count in own["instances"].items():
        for key, value in total(cells, name).items():
            sums[key] += count * value
    return sums


def by_unit(cells: dict[str, Cells], top: str, opened: re.Pattern) -> dict[str, Counter]:
    """Sums by unit: what is instantiated in `top` and in the modules `opened`, layers and experts taken together."""
    units: dict[str, Counter] = {}

    def add(name: str, values: dict[str, int], count: int) -> None:
        unit = units.setdefault(name, Counter(instances=0, gates=0, registers=0, memory_bits=0))
        unit.update({key: count * value for key, value in values.items()} | {"instances": count})

    def visit(module: str) -> None:
        own = {key: cells[module][key] for key in ("gates", "registers", "memory_bits")}
        add("(connections between units)", own, 1)
        for name, count in cells[module]["instances"].items():
            if opened.fullmatch(name):
                visit(name)
            else:
                add(unit_name(name, top), total(cells, name), count)

    visit(top)
    return dict(sorted(units.items(), key=lambda item: (-item[1]["gates"], item[0])))


def unit_name(module: str, top: str) -> str:
    """`wired_layer_1_expert_5_down` to `array down`, `layer_0_experts_router` to `experts router`."""
    name = re.sub(r"^wired_(layer_\d+_|chip_)(expert_\d+_)?", "array ", module)
    if re.search(r"_(scales|gain|bias)$|^array embedding", name):
        name = name.replace("array", "ROM", 1)
    name = re.sub(rf"^(layer_\d+|{top})_", "", name)
    return re.sub(r"^(attention|experts)_", r"\1 ", name)


def synth_figures(path: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Any]:
    """Cells by unit of the build folder `path`, and of the whole."""
    build = Build(path)
    top = build.manifest["top"]
    cells = module_cells(build, progress)
    units = by_unit(cells, top, re.compile(r"layer_\d+(_attention|_experts)?"))
    arrays = sum((unit for name, unit in units.items() if name.startswith("array ")), Counter())
    weights = sum(array["weights"] for array in build.arrays)
    return {
        "build": str(path),
        "manifest_sha256": sha256(path / "manifest.json"),
        "modules": len(cells),
        "weights_in_arrays": weights,
        "cells_per_weight": round((arrays["gates"] + arrays["registers"]) / weights, 2),
        "chip": dict(total(cells, top)),
        "units": {name: dict(unit) for name, unit in units.items()},
    }


def synth(path: Path, as_json: bool) -> None:
    """Print what `synth_figures` finds."""
    with progress_bar(f"synthesizing {path}", "modules") as progress:
        figures = synth_figures(path, progress)
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    table = Table(title=f"{path}: cells after generic synth")
    columns = ("instances", "gates", "registers", "memory_bits")
    table.add_column("unit", no_wrap=True)
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name, unit in figures["units"].items():
        table.add_row(name, *(f"{unit[column]:,}" for column in columns))
    whole = figures["chip"]
    table.add_row("whole chip", "1", *(f"{whole[column]:,}" for column in columns[1:]), style="bold")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{figures['weights_in_arrays']:,} weights in arrays, {figures['cells_per_weight']} cells a weight; "
        f"{figures['modules']:,} modules"
    )
