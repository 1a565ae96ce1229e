"""What a chip, a unit or an array takes of an FPGA, by unit, and which devices would hold it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hardloom.flows.console.report import Line, Part, table
from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.figures import by_unit, unit_name
from hardloom.flows.synth.fpga import RESOURCES, Device, Family, devices, holding
from hardloom.flows.synth.hierarchy import Hierarchy, synthesize_hierarchy, synthesized_netlist
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.place import Routed, check_installed, route
from hardloom.flows.synth.yosys import Options
from hardloom.gen.build.clock_enables import with_clock_enables
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.files import write_file
from hardloom.golden.parallel import Workers

__all__ = ["PUBLISHED_LUTS_A_WEIGHT", "Prototype", "prototype", "prototype_parts"]

PUBLISHED_LUTS_A_WEIGHT = 10.4
"""ITA (arXiv 2511.22889): 170,502 LUTs for a 64 -> 128 -> 64 network, 16,384 weights, fully parallel."""


@dataclass(frozen=True)
class Prototype:
    """What a module with everything in it takes of an FPGA.

    Attributes
    ----------
    build: folder; top: the module; family: of devices; modules: how many were synthesized.
    units, total: `instances` and `flows.synth.fpga.RESOURCES`, by unit, and of all; cells: by kind.
    devices: of each device of the family, shares of it that all would take; holds: the smallest that is large enough.
    weights: in arrays by themselves, as all are but the head's; luts_per_weight: LUT4 of these arrays over that.
    failed: reasons by what failed; routed: what placing and routing came to, None where it was not asked for or failed.
    cpu_seconds, peak_mib: of Yosys.
    """

    build: str
    top: str
    family: str
    modules: int
    units: dict[str, dict[str, int]]
    total: dict[str, int]
    cells: dict[str, int]
    devices: dict[str, dict[str, float]]
    holds: str | None
    weights: int
    luts_per_weight: float | None
    failed: dict[str, str]
    routed: Routed | None
    cpu_seconds: float
    peak_mib: float

    def to_json_dict(self) -> dict[str, Any]:
        return vars(self) | {"published_luts_per_weight": {"ITA (arXiv 2511.22889)": PUBLISHED_LUTS_A_WEIGHT}}


def prototype(
    modules: Modules,
    top: str,
    options: Options,
    cache: Cache,
    workers: Workers,
    progress: Callable[[int, int], None],
    routing: bool,
) -> Prototype:
    """Figures of `top` on the family of `options`; placed and routed, with `routing`, on the smallest device that holds
    it and has pins for its ports, or on the largest."""
    family = options.fpga
    assert family is not None
    if routing:
        check_installed(family)
    hierarchy = synthesize_hierarchy(modules, top, options, cache, workers, progress, netlists=routing)
    found = figures(modules, hierarchy, family)
    if not routing or found.failed:
        return found
    candidates = holding(family.name, found.total) or devices(family.name)[-1:]
    try:
        return replace(found, routed=route_hierarchy(modules, hierarchy, options, cache, candidates))
    except SynthesisError as error:
        return replace(found, failed={"route": str(error)})


def figures(modules: Modules, hierarchy: Hierarchy, family: Family) -> Prototype:
    """Figures of a hierarchy, nothing routed."""
    top, results, prefix = hierarchy.top, hierarchy.modules.values(), modules.build.manifest.module_prefix
    sums = hierarchy.total(top)
    total = {name: int(sums[name]) for name in RESOURCES}
    units = {
        unit: {name: int(found[name]) for name in ("instances", *RESOURCES)}
        for unit, found in by_unit(hierarchy, prefix).items()
    }
    if not modules.is_container(top):
        units = {unit_name(top, ""): {"instances": 1} | total}
    arrays = {name: hierarchy.total(name)["LUT4"] for name in hierarchy.modules if name in modules.arrays}
    weights = sum(modules.arrays[name].weights for name in arrays)
    held = holding(family.name, total)
    return Prototype(
        build=str(modules.build.path),
        top=top,
        family=family.name,
        modules=len(results),
        units=dict(sorted(units.items(), key=lambda item: (-item[1]["LUT4"], item[0]))),
        total=total,
        cells=dict(sorted(hierarchy.cells(top).items(), key=lambda item: (-item[1], item[0]))),
        devices={device.name: shares(device, total) for device in devices(family.name)},
        holds=held[0].name if held else None,
        weights=weights,
        luts_per_weight=round(sum(arrays.values()) / weights, 2) if weights else None,
        failed=dict(hierarchy.failed),
        routed=None,
        cpu_seconds=round(sum(result.cpu_seconds for result in results), 1),
        peak_mib=max((result.peak_mib for result in results), default=0.0),
    )


def shares(device: Device, total: dict[str, int]) -> dict[str, float]:
    """What all takes over what the device has; of what it lacks, and nothing is taken, 0."""
    return {name: round(total[name] / max(1, device.has[name]), 4) for name in RESOURCES}


def route_hierarchy(
    modules: Modules, hierarchy: Hierarchy, options: Options, cache: Cache, candidates: Sequence[Device]
) -> Routed:
    """The netlists of a hierarchy linked, placed and routed on one of the devices. Raises SynthesisError."""
    assert options.fpga is not None
    netlists: list[Path] = []
    for module in hierarchy.modules:
        whole = not modules.is_container(module)
        if whole or not modules.is_wiring(module):
            netlists.append(synthesized_netlist(modules, module, hierarchy.top, options, cache, whole))
        else:
            netlists.append(cache.folder / f"{module}.wiring.v")
            write_file(netlists[-1], with_clock_enables(modules.path(module), modules.text(module)))
    return route(netlists, hierarchy.top, options.fpga, candidates, options.timeout_s)


def prototype_parts(found: Prototype) -> Iterator[Part]:
    """Tables by unit and by device, and sentences."""
    columns = ("instances", *RESOURCES)
    rows = [(unit, *(f"{values[name]:,}" for name in columns)) for unit, values in found.units.items()]
    made = table(("unit", *columns), rows, f"{found.build}: {found.top} on {found.family}", no_wrap=True)
    made.add_row("whole", "1", *(f"{found.total[name]:,}" for name in RESOURCES), style="bold")
    yield made
    fits = [(name, *(f"{taken[key]:.0%}" for key in RESOURCES)) for name, taken in found.devices.items()]
    yield table(("device", *RESOURCES), fits, "share of each device that it takes", no_wrap=True)
    if found.holds:
        yield f"{found.holds} is the smallest that would hold it, if placing and routing succeed"
    else:
        yield f"no device of the family {found.family} that nextpnr knows holds it"
    if found.luts_per_weight is not None:
        yield f"{found.weights:,} weights in arrays, {found.luts_per_weight:g} LUT4 a weight"
        yield Line(f"published: {PUBLISHED_LUTS_A_WEIGHT} LUTs a weight (ITA, arXiv 2511.22889, fully parallel)")
    if routed := found.routed:
        used = ", ".join(f"{name} {count:,} of {most:,}" for name, (count, most) in routed.used.items())
        ports = "" if routed.pins else ", its ports no pins, which are too few"
        yield f"placed and routed on {routed.device}{ports} in {routed.seconds:,.0f} s: {routed.fmax_mhz:g} MHz; {used}"
    yield f"{found.cpu_seconds:,.0f} s of CPU, at most {found.peak_mib:,.0f} MiB a process"
    yield from (f"failed: {reason}" for reason in found.failed.values())
