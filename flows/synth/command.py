"""`hardloom synth`: what a build, a unit or an array comes to in gates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hardloom.flows.cluster.client import workers_at
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check
from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.counted import count_hierarchy
from hardloom.flows.synth.figures import Flat, SynthFigures, hierarchy_figures
from hardloom.flows.synth.fpga import family_of
from hardloom.flows.synth.gate_level import build_plan
from hardloom.flows.synth.hierarchy import Hierarchy, held_hierarchy, synthesize_hierarchy, synthesize_tile
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.paths import hierarchy_paths
from hardloom.flows.synth.power import array_power
from hardloom.flows.synth.prototype import prototype, prototype_parts
from hardloom.flows.synth.report import synthesis_parts, write_html
from hardloom.flows.synth.timing import Timing, has_open_sta, open_sta
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import Threads

__all__ = ["Request", "held_synthesis", "synth", "synth_figures"]


AHEAD = 16
"""Modules under way for every process: some take a hundred times as long as others."""


def synth_figures(
    path: Path,
    unit: str | None,
    tile: str | None,
    options: Options,
    timing: bool = False,
    cluster: str | None = None,
    counted: bool = False,
) -> SynthFigures:
    """Figures of the build `path`: of one `unit`, of one array `tile` (flattened too), or of the whole chip.

    timing: with paths through all modules. cluster: address of a Dask scheduler whose workers synthesize the modules
    (`flows.cluster`). counted: arrays and tables are (`count_hierarchy`).

    Results are kept in the user's cache, never in the build, which came from anywhere.
    """
    modules = Modules(Build(path))
    cache = Cache(work_folder(path, "synthesis") / "cache")
    top = asked_module(modules, unit, tile)
    here = Threads(options.jobs, AHEAD)
    with (
        workers_at(cluster, [path / MANIFEST], here=here) as workers,
        progress_bar(f"synthesizing {top}", "modules") as progress,
    ):
        if counted:
            hierarchy, by_count = count_hierarchy(modules, top, options, cache, workers, progress)
            return replace(hierarchy_figures(modules, hierarchy, options), counted=by_count)
        modules.require_plain(*modules.below(top))
        hierarchy = synthesize_hierarchy(modules, top, options, cache, workers, progress, netlists=timing)
    figures = hierarchy_figures(modules, hierarchy, options)
    if timing:
        longest, paths = hierarchy_paths(modules, top, options, cache)
        figures = replace(figures, timing=longest, paths=paths)
    return figures if tile is None else with_flat(figures, modules, top, options, cache)


def asked_module(modules: Modules, unit: str | None, tile: str | None) -> str:
    """The module that is asked for. Raises UserError where there is none of that name."""
    if unit is not None:
        return modules.named(unit, "--unit")
    return modules.top if tile is None else modules.named(tile, "--tile", sorted(modules.arrays))


def held_synthesis(build: Build) -> tuple[SynthFigures, Hierarchy] | None:
    """What `hardloom synth` of a whole chip has come to, with the embedded library and without a clock; None where it
    has not run, or not to its end."""
    if build.is_compressed or not (folder := work_folder(build.path, "synthesis") / "cache").is_dir():
        return None
    modules, options = Modules(build), Request().options()
    hierarchy = held_hierarchy(modules, modules.top, options, Cache(folder))
    return None if hierarchy is None else (hierarchy_figures(modules, hierarchy, options), hierarchy)


def with_flat(figures: SynthFigures, modules: Modules, top: str, options: Options, cache: Cache) -> SynthFigures:
    """With the flattened tile beside the sum of its prefabricated cells, and its longest path."""
    netlist = cache.folder.parent / f"{top}.v"
    try:
        flat = synthesize_tile(modules, top, options, cache, netlist)
    except SynthesisError as error:
        return replace(figures, failed=figures.failed | {f"{top} flattened": str(error)})
    key, value = ("ge", flat.ge) if options.library else ("cells", sum(flat.cells.values()))
    return replace(
        figures,
        flat=Flat(flat, round(value / figures.total[key] - 1, 4)),
        cpu_seconds=round(figures.cpu_seconds + flat.cpu_seconds, 1),
        peak_mib=max(figures.peak_mib, flat.peak_mib),
        timing=flat_timing(netlist, options.library, options.clock_ns, flat) if options.library else figures.timing,
    )


def flat_timing(netlist: Path, library: Library, clock_ns: float | None, flat: Synthesis) -> Timing | None:
    """OpenSTA's longest path, or else ABC's."""
    timing = open_sta(netlist, flat.top, library, clock_ns)
    if timing is None and flat.abc_delay_ns:
        return Timing("ABC, up to adders", flat.abc_delay_ns, clock_ns=clock_ns)
    return timing


@dataclass(frozen=True)
class Request:
    """What is asked of a build: the figures of a `unit`, of an array `tile`, or, without both, of the whole chip.

    Attributes
    ----------
    generic: without a library; liberty: files of the library, the embedded one where there is none.
    clock_ns, jobs, timeout_s, memory_gib: see `Options`.
    timing: paths through all modules; html: page to write as well; power: energy of a vector through the tile.
    fpga: family of FPGAs to map to instead of a library; route: place and route on one of its devices.
    cluster: address of a Dask scheduler whose workers synthesize the modules.
    counted: planes of arrays by their terms, tables by samples.
    """

    unit: str | None = None
    tile: str | None = None
    generic: bool = False
    liberty: Sequence[Path] = ()
    clock_ns: float | None = None
    jobs: int = 1
    timeout_s: float = 900.0
    memory_gib: float = 8.0
    timing: bool = False
    html: Path | None = None
    power: bool = False
    fpga: str | None = None
    route: bool = False
    cluster: str | None = None
    counted: bool = False

    def __post_init__(self) -> None:
        if self.generic and self.liberty:
            raise UserError("--generic: takes no library; leave out --liberty")
        if self.generic and self.clock_ns is not None:
            raise UserError("--generic: has no times; leave out --clock-ns")
        if self.unit is not None and self.tile is not None:
            raise UserError("--tile: goes not together with --unit; give one of them")
        if self.power and (self.tile is None or self.generic):
            raise UserError("--power: goes with --tile, and without --generic; name an array")
        if self.route and not self.fpga:
            raise UserError("--route: goes with --fpga; add it")
        if self.timing and (self.tile is not None or self.generic):
            raise UserError("--timing: is of units and chips, by a library; leave out --tile and --generic")
        if self.timing and not has_open_sta():
            raise UserError("--timing: needs OpenSTA, its command sta; install it (Debian: apt-get install opensta)")
        if self.counted and (self.tile is not None or self.timing or self.power):
            raise UserError("--counted: is of sums alone; leave out --tile, --timing and --power")
        useless = {"--liberty": self.liberty, "--generic": self.generic, "--clock-ns": self.clock_ns}
        useless |= {"--timing": self.timing, "--power": self.power, "--html": self.html, "--counted": self.counted}
        if self.fpga and any(useless.values()):
            names = " and ".join(name for name, given in useless.items() if given)
            raise UserError(f"--fpga: has its own cells and report; leave out {names}")

    def options(self) -> Options:
        """Of every synthesis; reads the library."""
        family = family_of(self.fpga) if self.fpga else None
        library = None if self.generic or family else read_library(self.liberty)
        return Options(library, self.clock_ns, self.jobs, self.timeout_s, self.memory_gib, fpga=family)


def synth(path: Path, request: Request) -> Check:
    """Figures of the build `path`: every module is synthesized, and what was asked for placed and routed."""
    options = request.options()
    if request.fpga:
        return on_fpga(path, request, options)
    figures = synth_figures(path, request.unit, request.tile, options, request.timing, request.cluster, request.counted)
    if request.power and request.tile:
        figures = with_power(figures, path, request.tile, options)
    if request.html is not None:
        write_html(figures, request.html)
    return Check(figures, synthesis_parts(figures), not figures.failed)


def on_fpga(path: Path, request: Request, options: Options) -> Check:
    """What is asked for on an FPGA: every unit and array is synthesized, and all of it routed if that is wanted."""
    modules = Modules(Build(path))
    cache = Cache(work_folder(path, "synthesis") / "cache")
    top = asked_module(modules, request.unit, request.tile)
    with (
        workers_at(request.cluster, [path / MANIFEST], here=Threads(options.jobs, AHEAD)) as workers,
        progress_bar(f"synthesizing {top}", "modules") as progress,
    ):
        found = prototype(modules, top, options, cache, workers, progress, request.route)
    return Check(found, prototype_parts(found), not found.failed)


def with_power(figures: SynthFigures, path: Path, tile: str, options: Options) -> SynthFigures:
    """With the energy of a vector through the tile, from a gate-level simulation."""
    build = Build(path)
    try:
        power = array_power(build_plan(build, Modules(build).arrays[tile]), options, work_folder(path, "power") / tile)
    except SynthesisError as error:
        return replace(figures, failed=figures.failed | {f"power of {tile}": str(error)})
    return replace(figures, power=power)
