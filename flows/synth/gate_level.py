"""Gate-level simulation: the mapped netlists of units and arrays through the same benches as their Verilog."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.console.report import Check, Line
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.models import cell_models
from hardloom.flows.synth.modules import instances_in, is_wiring
from hardloom.flows.synth.yosys import Options
from hardloom.gen.arrays import ArrayPlan, plan_array
from hardloom.gen.build.folder import Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import Threads
from hardloom.verif.arrays.bench import bench_arrays
from hardloom.verif.streams import bench

__all__ = ["build_plan", "mapped_arrays", "mapped_units", "verify_gates"]


@dataclass(frozen=True)
class Part:
    """A module to synthesize: its sources, flattened together, but for the modules of `boxes`, which stay instances."""

    module: str
    sources: Sequence[Path]
    boxes: Sequence[Path] = ()


def netlists(parts: Iterable[Part], options: Options, folder: Path) -> str:
    """Mapped Verilog of every part, with models of the cells that they use. Raises SynthesisError."""
    library = options.library
    assert library is not None
    folder.mkdir(parents=True, exist_ok=True)

    def one(part: Part) -> tuple[Path, Iterable[str]]:
        netlist = folder / f"{part.module}.v"
        result = synthesize(part.sources, part.module, options, black_boxes=part.boxes, netlist=netlist)
        return netlist, result.cells

    done = list(Threads(options.jobs).map(one, parts))
    used = {kind for _, cells in done for kind in cells}
    return "\n".join([*(path.read_text() for path, _ in done), cell_models(library, used)])


def by_module(files: Iterable[Path], options: Options, folder: Path) -> tuple[str, list[str]]:
    """Mapped Verilog of modules, one a file, each by itself; and those that another one instantiates several times.

    What has no gates is the text that it was.
    """
    paths = {path.stem: path for path in files}
    texts = {module: path.read_text() for module, path in paths.items()}
    inside = {
        module: {name: count for name, count in instances_in(text).items() if name in paths and name != module}
        for module, text in texts.items()
    }
    wiring = [module for module, text in texts.items() if inside[module] and is_wiring(text)]
    parts = [
        Part(module, [paths[module]], [paths[name] for name in inside[module]])
        for module in texts
        if module not in wiring
    ]
    mapped = netlists(parts, options, folder)
    often = {name for counts in inside.values() for name, count in counts.items() if count > 1}
    return "\n".join([mapped, *(texts[module] for module in wiring)]), sorted(often)


def mapped_units(names: Iterable[str], folder: Path, options: Options) -> int:
    """The benches of the named units (all by default) on their netlists; the number of failed tests.

    Raises SynthesisError.
    """
    work = folder / "netlists"

    def mapped(texts: dict[str, str]) -> str:
        work.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (work / f"{name}.rtl.v").write_text(text)
        return netlists([Part(name, [work / f"{name}.rtl.v"]) for name in texts], options, work)

    return bench.run(names, folder, mapped=mapped)


def mapped_arrays(
    plans: Sequence[ArrayPlan], folder: Path, options: Options, packets: int = 20, flat: bool = False
) -> int:
    """The bench of array units on their netlists; the number of failed tests.

    Prefabricated cells are mapped once each and wired as the emitted text says; `flat`: every array is flattened, its
    cells simplified by the slots that they leave empty. Raises SynthesisError.
    """

    def mapped(files: dict[str, list[Path]]) -> tuple[Path, list[str]]:
        gates = folder / "netlists" / "arrays.v"
        if flat:
            text = netlists([Part(module, sources) for module, sources in files.items()], options, gates.parent)
            blocks: list[str] = []
        else:
            unique = {path.name: path for sources in files.values() for path in sources}
            text, blocks = by_module(unique.values(), options, gates.parent)
        gates.write_text(text)
        return gates, blocks

    return bench_arrays(plans, folder, packets, mapped=mapped)


def build_plan(build: Build, facts: ArrayFacts) -> ArrayPlan:
    """The plan of an array of a build, from its quantized checkpoint."""
    checkpoint = build.checkpoint()
    banks = [checkpoint.integers(name, *facts.span(checkpoint.rows(name))) for name in facts.matrices]
    formats = [checkpoint.format_of(name) for name in facts.matrices]
    how = (build.hardware.lanes, facts.slices, facts.style, formats)
    return plan_array(facts.module, banks, *how, facts.activation(checkpoint.numerics))


def array_of_each_kind(build: Build) -> list[ArrayFacts]:
    """Facts of the first array of every kind."""
    first: dict[str, ArrayFacts] = {}
    for facts in build.arrays:
        first.setdefault(facts.kind, facts)
    return list(first.values())


def verify_gates(path: Path, units: Sequence[str], liberty: Sequence[Path]) -> Check:
    """Synthesize and simulate the named units; without any, an array of every kind, and the smallest of them flattened.

    Every test passes. Raises UserError for a unit that has no bench, or a module that is not synthesized.
    """
    build = Build(path)
    known = bench.units()
    for unit in units:
        if unit not in known:
            raise UserError(f"--unit: there is no bench of {unit!r}; choose from {', '.join(known)}")
    options, folder = Options(read_library(liberty)), work_folder(path, "gates")
    failed = {}
    try:
        for unit in units:
            failed[f"unit {unit}"] = mapped_units([unit], folder / unit, options)
        if not units:
            plans = [build_plan(build, facts) for facts in array_of_each_kind(build)]
            smallest = min(plans, key=lambda plan: plan.weights)
            failed[", ".join(plan.name for plan in plans)] = mapped_arrays(plans, folder / "arrays", options)
            failed[f"{smallest.name}, flattened"] = mapped_arrays([smallest], folder / "flat", options, flat=True)
    except SynthesisError as error:
        raise UserError(f"{error}; `hardloom synth --unit` tells more") from error
    lines = [
        Line(f"gates of {name}: {'bit-exact' if not count else f'{count} tests failed'}")
        for name, count in failed.items()
    ]
    return Check({"failed_tests": failed}, lines, not any(failed.values()))
