"""Gate-level simulation: the mapped netlists of units and arrays through the same benches as their Verilog."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flows.synth.hierarchy import Options
from flows.synth.liberty import read_library
from flows.synth.models import cell_models
from flows.synth.yosys import synthesize
from gen.arrays import ArrayPlan, plan_array
from gen.build import Build
from golden.errors import UserError
from verif import bench
from verif.arrays import bench_arrays

__all__ = ["build_plan", "mapped_arrays", "mapped_units", "verify_gates"]


def netlists(sources: Mapping[str, Sequence[Path]], options: Options, folder: Path) -> str:
    """Mapped Verilog of modules, each from its source files and flattened, with models of the cells that they use."""
    library = options.library
    assert library is not None

    def one(item: tuple[str, Sequence[Path]]) -> tuple[Path, Iterable[str]]:
        module, files = item
        netlist = folder / f"{module}.v"
        result = synthesize(
            files, module, library, clock_ns=options.clock_ns, netlist=netlist, timeout_s=options.timeout_s
        )
        return netlist, result.cells

    with ThreadPoolExecutor(options.jobs) as pool:
        done = list(pool.map(one, sources.items()))
    used = {kind for _, cells in done for kind in cells}
    return "\n".join([*(path.read_text() for path, _ in done), cell_models(library, used)])


def mapped_units(names: Iterable[str], folder: Path, options: Options) -> int:
    """The benches of the named units (all by default) on their netlists; the number of failed tests.

    Raises SynthesisError.
    """
    work = folder / "netlists"

    def mapped(texts: dict[str, str]) -> str:
        work.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (work / f"{name}.rtl.v").write_text(text)
        return netlists({name: [work / f"{name}.rtl.v"] for name in texts}, options, work)

    return bench.run(names, folder, mapped=mapped)


def mapped_arrays(plans: Sequence[ArrayPlan], folder: Path, options: Options, packets: int = 20) -> int:
    """The bench of array units on their netlists; the number of failed tests. Raises SynthesisError."""

    def mapped(files: dict[str, list[Path]]) -> Path:
        gates = folder / "netlists" / "arrays.v"
        gates.parent.mkdir(parents=True, exist_ok=True)
        gates.write_text(netlists(files, options, gates.parent))
        return gates

    return bench_arrays(plans, folder, packets, mapped=mapped)


def build_plan(build: Build, facts: dict[str, Any]) -> ArrayPlan:
    """The plan of an array of a build, from its quantized checkpoint."""
    checkpoint = build.checkpoint()
    banks = [checkpoint.matrix(name).integers() for name in facts["matrices"]]
    how = {"lanes": build.hardware.lanes, "slices": facts["slices"], "style": facts["style"]}
    return plan_array(facts["module"], banks, format=checkpoint.format, **how)


def array_of_each_kind(build: Build) -> list[dict[str, Any]]:
    """Facts of the first array of every kind."""
    first: dict[str, dict[str, Any]] = {}
    for facts in build.arrays:
        first.setdefault(facts["kind"], facts)
    return list(first.values())


def verify_gates(path: Path, units: Sequence[str], liberty: Sequence[Path], as_json: bool) -> bool:
    """Synthesize and simulate an array of every kind and the named units; whether every test passed."""
    build = Build(path)
    known = bench.units()
    for unit in units:
        if unit not in known:
            raise UserError(f"--unit: there is no bench of {unit!r}; choose from {', '.join(known)}")
    options, folder = Options(read_library(liberty)), path / "simulation" / "gates"
    plans = [build_plan(build, facts) for facts in array_of_each_kind(build)]
    failed = {"arrays": mapped_arrays(plans, folder / "arrays", options)}
    failed |= {unit: mapped_units([unit], folder / unit, options) for unit in units}
    if as_json:
        print(json.dumps({"arrays": [plan.name for plan in plans], "failed_tests": failed}, indent=1))
    else:
        for name, count in failed.items():
            said = ", ".join(plan.name for plan in plans) if name == "arrays" else f"unit {name}"
            print(f"gates of {said}: {'bit-exact' if not count else f'{count} tests failed'}")
    return not any(failed.values())
