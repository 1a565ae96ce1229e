"""A chip that is too large for Yosys: its arrays counted, its tables sampled, its units synthesized.

What an array is made of is prefabricated cells and, in style `shared`, planes: conjunctions of so many lines. Each kind
is synthesized once, and the text says how often it is there. Of tables the first words are synthesized.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.contents import port_list
from hardloom.flows.synth.hierarchy import Hierarchy, synthesize_missing, wiring
from hardloom.flows.synth.jobs import ModuleJob, Synthesizer
from hardloom.flows.synth.modules import Texts
from hardloom.flows.synth.tables import Table, read_table, stand_ins
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.golden.files import sha256, write_file
from hardloom.golden.parallel import Workers

__all__ = ["Counted", "count_hierarchy"]

PLANE = "plane_of_{}"
PLANE_NAME = re.compile(PLANE.format(r"\d+"))


@dataclass
class Counted:
    """What was not synthesized as it stands.

    Attributes
    ----------
    arrays: whose cells and planes are counted; planes: of all of them; plane_kinds: that were synthesized.
    tables: that are sampled, their own words or by another that is alike; tables_synthesized: how many are.
    """

    arrays: int = 0
    planes: int = 0
    plane_kinds: int = 0
    tables: int = 0
    tables_synthesized: int = 0


@dataclass
class Plan:
    """jobs: what is to be synthesized. wiring: modules that are instances alone. scaled: tables by name, with what is
    synthesized for each, and how many times its words it has."""

    jobs: dict[str, ModuleJob] = field(default_factory=dict)
    wiring: dict[str, Counter[str]] = field(default_factory=dict)
    scaled: dict[str, tuple[str, float]] = field(default_factory=dict)
    counted: Counted = field(default_factory=Counted)


def count_hierarchy(
    modules: Texts,
    top: str,
    options: Options,
    cache: Cache,
    workers: Workers,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Hierarchy, Counted]:
    """As `synthesize_hierarchy`, for chips of any size; and what of it is counted. Raises UserError where a text is
    damaged."""
    plan = planned(modules, top, cache.folder.parent / "counted")
    synthesizer = Synthesizer(options)
    hierarchy, missing = Hierarchy(top, {}), list[ModuleJob]()
    for name, job in plan.jobs.items():
        if (known := synthesizer.known(job, cache)) is None:
            missing.append(job)
        else:
            hierarchy.modules[name] = known
    synthesize_missing(hierarchy, missing, synthesizer, cache, workers, progress)
    found = hierarchy.modules
    found |= {name: wiring(name, instances, options.library) for name, instances in plan.wiring.items()}
    made = {name: times(found[of], name, factor) for name, (of, factor) in plan.scaled.items() if of in found}
    hierarchy.modules = dict(sorted((found | made).items()))
    return hierarchy, plan.counted


def times(result: Synthesis, name: str, factor: float) -> Synthesis:
    """What a table comes to, `factor` times what was synthesized for it, whose time counts under its own name alone."""
    cells = {kind: round(count * factor) for kind, count in result.cells.items()}
    own = result if name == result.top else replace(result, cpu_seconds=0.0, peak_mib=0.0)
    return replace(own, top=name, cells=cells, area=result.area * factor, ge=round(result.ge * factor, 3))


def planned(modules: Texts, top: str, folder: Path) -> Plan:
    """What is synthesized, and what is counted. folder: where ports of arrays, samples and planes are written."""
    plan, tables = Plan(), dict[str, Table]()
    below = modules.below(top)
    ports = {
        name: written(folder / f"{name}.v", port_list(modules.pieces(name)))
        for name in below
        if modules.is_array(name) or modules.is_constant(name)
    }
    for name in below:
        if modules.is_array(name):
            take_array(plan, modules, name)
        elif modules.is_constant(name):
            tables[name] = read_table(modules.pieces(name))
        elif modules.is_wiring(name):
            plan.wiring[name] = modules.instances(name)
        else:
            boxes = [ports.get(part, modules.path(part)) for part in sorted(modules.instances(name))]
            plan.jobs[name] = job_of(name, [modules.path(name)], boxes)
    take_tables(plan, tables, folder / "samples")
    take_planes(plan, folder)
    return plan


def take_array(plan: Plan, modules: Texts, name: str) -> None:
    """An array as its cells and planes; one that has other gates, of style `rom` or `cell`, as it stands.

    Raises UserError where that one is compressed.
    """
    contents = modules.contents(name)
    if contents.has_logic:
        modules.require_plain(name)
        boxes = [modules.path(part) for part in sorted(modules.instances(name))]
        plan.jobs[name] = job_of(name, [modules.path(name)], boxes)
        return
    planes = Counter({PLANE.format(terms): count for terms, count in contents.planes.items() if terms > 1})
    plan.wiring[name] = modules.instances(name) + planes
    plan.counted.arrays += 1
    plan.counted.planes += contents.planes.total()


def take_planes(plan: Plan, folder: Path) -> None:
    """Every kind of plane that an array has."""
    kinds = {name for instances in plan.wiring.values() for name in instances if PLANE_NAME.fullmatch(name)}
    for name in sorted(kinds):
        terms = int(name.rpartition("_")[2])
        plan.jobs[name] = job_of(name, [written(folder / f"{name}.v", plane_text(name, terms).encode())])
    plan.counted.plane_kinds = len(kinds)


def plane_text(name: str, terms: int) -> str:
    ports = f"input wire [{terms - 1}:0] lines, output wire plane"
    return f"module {name} ({ports});\n    assign plane = &lines;\nendmodule\n"


def take_tables(plan: Plan, tables: dict[str, Table], folder: Path) -> None:
    """Tables by samples, a few for all that are alike."""
    kinds: dict[tuple[int, int], list[str]] = {}
    for name, table in tables.items():
        kinds.setdefault(table.kind, []).append(name)
    for alike in kinds.values():
        for name, of in stand_ins(alike).items():
            plan.scaled[name] = of, tables[name].words / tables[name].held
            if of not in plan.jobs:
                plan.jobs[of] = job_of(of, [written(folder / f"{of}.v", tables[of].text)])
                plan.counted.tables_synthesized += 1
    plan.counted.tables = len(tables)


def job_of(name: str, sources: Sequence[Path], boxes: Sequence[Path] = ()) -> ModuleJob:
    """A module of files as they are now."""
    hashed, boxed = (tuple((path.absolute(), sha256(path)) for path in paths) for paths in (sources, boxes))
    return ModuleJob(name, hashed, boxed)


def written(path: Path, text: bytes) -> Path:
    write_file(path, text)
    return path
