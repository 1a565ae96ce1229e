"""Figures of a synthesis: by unit, in sum, by kind of cell."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hardloom.flows.pictures.treemap import Node
from hardloom.flows.synth.counted import Counted
from hardloom.flows.synth.hierarchy import Hierarchy, own_figures
from hardloom.flows.synth.modules import Modules, is_container
from hardloom.flows.synth.power import Power
from hardloom.flows.synth.timing import Timing
from hardloom.flows.synth.tree import module_tree
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.text.constant_table import is_table
from hardloom.gen.text.prefix import unprefixed
from hardloom.golden.files import sha256

__all__ = ["COLUMNS", "Flat", "SynthFigures", "by_unit", "hierarchy_figures", "unit_name"]

COLUMNS = ("cells", "flip_flops", "memory_bits", "ge", "area")
CONNECTIONS = "(connections between units)"


def by_unit(hierarchy: Hierarchy, module_prefix: str) -> dict[str, Counter[str]]:
    """Sums by unit, the largest first: what is instantiated in the top, layers and experts taken together."""
    top = hierarchy.top
    units: dict[str, Counter[str]] = {}

    def add(name: str, values: Mapping[str, float], count: int) -> None:
        unit = units.setdefault(name, Counter({"instances": 0} | dict.fromkeys(COLUMNS, 0)))
        unit.update({key: count * value for key, value in values.items()} | {"instances": count})

    def visit(module: str) -> None:
        own = hierarchy.modules.get(module)
        if own is None:
            return
        add(CONNECTIONS, own_figures(own), 1)
        for name, count in own.instances.items():
            if is_container(name, module_prefix):
                visit(name)
            else:
                unit = unit_name(*(unprefixed(module, module_prefix) for module in (name, top)))
                add(unit, hierarchy.total(name), count)

    visit(top)
    return dict(sorted(units.items(), key=lambda item: (-item[1]["ge"], -item[1]["cells"], item[0])))


def unit_name(module: str, top: str) -> str:
    """`wired_layer_1_expert_5_down` to `array down`, `layer_experts_router` to `experts router`, `table_exp2_...` to
    `table exp2`."""
    if is_table(module):
        return " ".join(module.split("_")[:2])
    name = re.sub(r"^wired_(layer_\d+_|chip_)(expert_\d+_)?", "array ", module)
    if re.search(r"_(scales|gain|bias)$|^array embedding", name):
        name = name.replace("array", "ROM", 1)
    name = re.sub(rf"^(layer(_like_\d+)?|{top})_", "", name)
    return re.sub(r"^(attention|experts)_", r"\1 ", name)


@dataclass(frozen=True)
class Flat:
    """A flattened array, and its gates (cells without a library) over those of its prefabricated cells, less 1."""

    synthesis: Synthesis
    difference: float

    def to_json_dict(self) -> dict[str, Any]:
        return self.synthesis.to_json_dict() | {"difference": self.difference}


@dataclass(frozen=True)
class SynthFigures:
    """What a module of a build came to, with everything in it.

    Attributes
    ----------
    build: folder; top: the module; library: name, None for generic gates; nand2_area: 1 GE in the library's unit.
    clock_ns: period asked for; modules: how many there are below the top.
    units, total: sums of `COLUMNS`, by unit, and of all; cells: by kind, the most frequent first.
    weights: in arrays; cells_per_weight, ge_per_weight: of the arrays, None where there is none.
    failed: reasons by what failed; timing: the longest path known.
    cpu_seconds, peak_mib: of Yosys and ABC.
    flat: the array flattened; power: energy of a vector through it; None where not asked for.
    paths: with timing through all modules, the longest path in ns that ends in each unit, the longest first.
    left_out: cells of the library that were not understood, and why.
    counted: what was counted instead of synthesized, where that was asked for. tree: gates by hierarchy, for pictures.
    """

    build: str
    manifest_sha256: str
    top: str
    library: str | None
    nand2_area: float | None
    clock_ns: float | None
    modules: int
    units: dict[str, dict[str, float]]
    total: Mapping[str, float]
    cells: dict[str, int]
    weights: int
    failed: dict[str, str]
    timing: Timing | None
    cpu_seconds: float
    peak_mib: float
    cells_per_weight: float | None = None
    ge_per_weight: float | None = None
    flat: Flat | None = None
    power: Power | None = None
    paths: dict[str, float] | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    counted: Counted | None = None
    tree: Node | None = None

    def to_json_dict(self) -> dict[str, Any]:
        """Without the tree, what there is only of arrays, and what was not asked for."""
        optional = ("cells_per_weight", "ge_per_weight", "flat", "power", "paths", "counted")
        found = {name: value for name, value in vars(self).items() if value is not None or name not in optional}
        return {name: value for name, value in found.items() if name != "tree"}


def hierarchy_figures(modules: Modules, hierarchy: Hierarchy, options: Options) -> SynthFigures:
    """Figures of a hierarchy."""
    prefix = modules.build.manifest.module_prefix
    results, library, total = hierarchy.modules.values(), options.library, hierarchy.total(hierarchy.top)
    arrays = [name for name in modules.below(hierarchy.top) if name in modules.arrays]
    weights = sum(modules.arrays[name].weights for name in arrays)
    per_weight = {
        key: round(sum(hierarchy.total(name)[key] for name in arrays) / weights, 3) if weights else None
        for key in ("cells", "ge")
    }
    return SynthFigures(
        build=str(modules.build.path),
        manifest_sha256=sha256(modules.build.path / "manifest.json"),
        top=hierarchy.top,
        library=library.name if library else None,
        nand2_area=library.nand2.area if library else None,
        clock_ns=options.clock_ns,
        modules=len(results),
        units={name: dict(unit) for name, unit in by_unit(hierarchy, prefix).items()},
        total=dict.fromkeys(COLUMNS, 0) | dict(total),
        cells=dict(sorted(hierarchy.cells(hierarchy.top).items(), key=lambda item: (-item[1], item[0]))),
        weights=weights,
        failed=hierarchy.failed,
        timing=slowest_module(hierarchy, options.clock_ns),
        cpu_seconds=round(sum(result.cpu_seconds for result in results), 1),
        peak_mib=max((result.peak_mib for result in results), default=0.0),
        cells_per_weight=per_weight["cells"],
        ge_per_weight=per_weight["ge"],
        left_out=library.not_understood if library else {},
        tree=module_tree(hierarchy, hierarchy.top, prefix) if library and total["ge"] else None,
    )


def slowest_module(hierarchy: Hierarchy, clock_ns: float | None) -> Timing | None:
    """The longest path that is known within a module."""
    timed = {result.top: result for result in hierarchy.modules.values() if result.longest_ns or result.abc_delay_ns}
    if not timed:
        return None
    slowest = max(timed.values(), key=lambda result: result.longest_ns or result.abc_delay_ns or 0)
    if slowest.longest_ns:
        return Timing(f"{slowest.tool}, within a module", slowest.longest_ns, end=slowest.top, clock_ns=clock_ns)
    tool = "ABC, within a module, up to adders"
    return Timing(tool, slowest.abc_delay_ns or 0, end=slowest.top, clock_ns=clock_ns)
