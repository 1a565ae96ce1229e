"""`hardloom synth`: what a build, a unit or an array comes to in gates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.console.progress import progress_bar
from flows.console.report import Check, Line
from flows.synth.cache import Cache
from flows.synth.fpga import PUBLISHED_LUTS_A_WEIGHT, Fpga, place_and_route
from flows.synth.gate_level import build_plan
from flows.synth.hierarchy import Hierarchy, synthesize_hierarchy, synthesize_tile
from flows.synth.library.library import read_library
from flows.synth.modules import Modules
from flows.synth.power import array_power
from flows.synth.report import by_unit, synthesis_parts, write_html
from flows.synth.timing import Timing, open_sta
from flows.synth.yosys import Options, Synthesis
from gen.build.folder import Build
from gen.text.yosys import SynthesisError
from golden.errors import UserError
from golden.files import sha256

__all__ = ["Request", "synth", "synth_figures"]

FOLDER = "synthesis"
"""In the build: results by content hash, netlists."""


def hierarchy_figures(modules: Modules, hierarchy: Hierarchy, options: Options) -> dict[str, Any]:
    """Figures of a hierarchy: by unit, in sum, by kind of cell."""
    weights = sum(modules.arrays[name]["weights"] for name in modules.below(hierarchy.top) if name in modules.arrays)
    units = by_unit(hierarchy)
    arrays = {"cells": 0.0, "ge": 0.0}
    for name in modules.below(hierarchy.top):
        if name in modules.arrays:
            arrays = {key: value + hierarchy.total(name)[key] for key, value in arrays.items()}
    results = hierarchy.modules.values()
    delays = {r.top: r.abc_delay_ns for r in results if r.abc_delay_ns}
    slowest = max(delays, key=delays.__getitem__, default="")
    library = options.library
    figures: dict[str, Any] = {
        "build": str(modules.build.path),
        "manifest_sha256": sha256(modules.build.path / "manifest.json"),
        "top": hierarchy.top,
        "library": library.name if library else None,
        "nand2_area": library.nand2.area if library else None,
        "clock_ns": options.clock_ns,
        "modules": len(results),
        "units": {name: dict(unit) for name, unit in units.items()},
        "total": {key: 0 for key in ("cells", "flip_flops", "memory_bits", "ge", "area")}
        | dict(hierarchy.total(hierarchy.top)),
        "cells": dict(sorted(hierarchy.cells(hierarchy.top).items(), key=lambda item: (-item[1], item[0]))),
        "weights": weights,
        "failed": hierarchy.failed,
        "timing": Timing(
            "ABC, within a module, up to adders", delays[slowest], end=slowest, clock_ns=options.clock_ns
        ).to_json_dict()
        if slowest
        else None,
        "cpu_seconds": round(sum(r.cpu_seconds for r in results), 1),
        "peak_mib": max((r.peak_mib for r in results), default=0.0),
    }
    if weights:
        figures |= {f"{key}_per_weight": round(value / weights, 3) for key, value in arrays.items()}
    return figures


def synth_figures(
    path: Path, unit: str | None, tile: str | None, options: Options, netlist: Path | None = None
) -> dict[str, Any]:
    """Figures of the build `path`: of one `unit`, of one array `tile` (flattened too), or of the whole chip."""
    modules = Modules(Build(path))
    cache = Cache(path / FOLDER / "cache")
    top = modules.top
    if unit is not None:
        top = modules.named(unit, "--unit")
    elif tile is not None:
        top = modules.named(tile, "--tile", sorted(modules.arrays))
    with progress_bar(f"synthesizing {top}", "modules") as progress:
        hierarchy = synthesize_hierarchy(modules, top, options, cache, progress)
    figures = hierarchy_figures(modules, hierarchy, options)
    if tile is not None:
        add_flat(figures, modules, top, options, cache)
    return figures


def add_flat(figures: dict[str, Any], modules: Modules, top: str, options: Options, cache: Cache) -> None:
    """The flattened tile beside the sum of its prefabricated cells, and its longest path."""
    netlist = cache.folder.parent / f"{top}.v"
    try:
        flat = synthesize_tile(modules, top, options, cache, netlist)
    except SynthesisError as error:
        figures["failed"][f"{top} flattened"] = str(error)
        return
    key = "ge" if options.library else "cells"
    value = flat.ge if options.library else sum(flat.cells.values())
    figures["flat"] = flat.to_json_dict() | {"difference": round(value / figures["total"][key] - 1, 4)}
    figures["cpu_seconds"] = round(figures["cpu_seconds"] + flat.cpu_seconds, 1)
    figures["peak_mib"] = max(figures["peak_mib"], flat.peak_mib)
    if options.library:
        figures["timing"] = flat_timing(netlist, top, options, flat)


def flat_timing(netlist: Path, top: str, options: Options, flat: Synthesis) -> dict[str, Any] | None:
    """OpenSTA's longest path, or else ABC's."""
    assert options.library is not None
    timing = open_sta(netlist, top, options.library, options.clock_ns)
    if timing is None and flat.abc_delay_ns:
        timing = Timing("ABC, up to adders", flat.abc_delay_ns, clock_ns=options.clock_ns)
    return timing.to_json_dict() if timing else None


@dataclass(frozen=True)
class Request:
    """What is asked of a build: the figures of a `unit`, of an array `tile`, or, without both, of the whole chip.

    Attributes
    ----------
    generic: without a library; liberty: files of the library, the embedded one where there is none.
    clock_ns, jobs, timeout_s, memory_gib: see `Options`.
    html: page to write as well; power: energy of a vector through the tile; fpga: family to place and route it on.
    """

    unit: str | None = None
    tile: str | None = None
    generic: bool = False
    liberty: Sequence[Path] = ()
    clock_ns: float | None = None
    jobs: int = 1
    timeout_s: float = 900.0
    memory_gib: float = 8.0
    html: Path | None = None
    power: bool = False
    fpga: str | None = None

    def __post_init__(self) -> None:
        if self.generic and self.liberty:
            raise UserError("--generic: takes no library; leave out --liberty")
        if self.unit is not None and self.tile is not None:
            raise UserError("--tile: goes not together with --unit; give one of them")
        if (self.power or self.fpga) and (self.tile is None or self.generic):
            option = "power" if self.power else "fpga"
            raise UserError(f"--{option}: goes with --tile, and without --generic; name an array")
        useless = {"--liberty": self.liberty, "--clock-ns": self.clock_ns, "--power": self.power, "--html": self.html}
        if self.fpga and any(useless.values()):
            names = " and ".join(name for name, given in useless.items() if given)
            raise UserError(f"--fpga: has its own cells and report; leave out {names}")

    def options(self) -> Options:
        """Of every synthesis; reads the library."""
        library = None if self.generic else read_library(self.liberty)
        return Options(library, self.clock_ns, self.jobs, self.timeout_s, self.memory_gib)


def synth(path: Path, request: Request) -> Check:
    """Figures of the build `path`, or how a tile does on an FPGA: every module is synthesized."""
    if request.fpga and request.tile:
        return on_fpga(path, request.tile, request.fpga, request.timeout_s)
    options = request.options()
    figures = synth_figures(path, request.unit, request.tile, options)
    if request.power and request.tile:
        add_power(figures, path, request.tile, options)
    if request.html is not None:
        write_html(figures, request.html)
    return Check(figures, synthesis_parts(figures), not figures["failed"])


def on_fpga(path: Path, tile: str, family: str, timeout_s: float) -> Check:
    """Place and route an array. Raises SynthesisError as UserError, there being no other array."""
    modules = Modules(Build(path))
    top = modules.named(tile, "--tile", sorted(modules.arrays))
    sources = [modules.path(name) for name in modules.below(top)]
    try:
        result = place_and_route(sources, top, modules.arrays[top]["weights"], family, timeout_s)
    except SynthesisError as error:
        raise UserError(f"{error}; give a smaller array or another --fpga") from error
    return Check(result, [*map(Line, fpga_lines(top, result))], passed=True)


def fpga_lines(top: str, found: Fpga) -> list[str]:
    cells = f"{found.luts:,} LUT4, {found.carries:,} carry cells, {found.flip_flops:,} flip-flops"
    return [
        f"{top} on {found.family}: {cells},",
        f"{found.luts_per_weight:g} LUT a weight ({found.weights:,} weights), {found.fmax_mhz:g} MHz;",
        f"published: {PUBLISHED_LUTS_A_WEIGHT} LUT a weight (ITA, arXiv 2511.22889, fully parallel)",
    ]


def add_power(figures: dict[str, Any], path: Path, tile: str, options: Options) -> None:
    """Energy of a vector through the tile, from a gate-level simulation."""
    build = Build(path)
    try:
        power = array_power(build_plan(build, Modules(build).arrays[tile]), options, path / FOLDER / "power" / tile)
    except SynthesisError as error:
        figures["failed"][f"power of {tile}"] = str(error)
    else:
        figures["power"] = power.to_json_dict()
