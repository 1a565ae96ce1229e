"""Area by hierarchy: of what has been synthesized, or else of the estimate."""

import os
from pathlib import Path
from urllib.parse import quote

from hardloom.flows.design.estimate.report import Reported
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.flows.report.treemap import Node, tiles
from hardloom.flows.synth.command import held_synthesis
from hardloom.flows.synth.hierarchy import Hierarchy
from hardloom.flows.synth.modules import is_container
from hardloom.flows.synth.report import remarks
from hardloom.gen.build.folder import Build

__all__ = ["area", "module_tree"]

SIZE = (1000, 520)
SMALLEST = 0.002
"""Share of the whole below which parts are drawn as one."""


def module_tree(hierarchy: Hierarchy, module: str, prefix: str, count: int = 1, around: str = "") -> Node:
    """A module and what is in it, `count` times, in gates (GE); containers alone are opened.

    prefix: of the build's modules; around: the module that it is in, whose name is not said again.
    """
    total = hierarchy.total(module)["ge"] * count
    name = module.removeprefix(f"{prefix}_").removeprefix("wired_").removeprefix(f"{around}_")
    name = name if count == 1 else f"{count} x {name}"
    own = hierarchy.modules[module]
    if module != hierarchy.top and not is_container(module, prefix):
        return Node(name, total, module)
    within = module.removeprefix(f"{prefix}_")
    parts = [module_tree(hierarchy, inner, prefix, count * n, within) for inner, n in own.instances.items()]
    parts.append(Node("connections", own.ge * count, module))
    return Node(name, total, module, gathered(parts, SMALLEST * hierarchy.total(hierarchy.top)["ge"]))


def gathered(parts: list[Node], least: float) -> tuple[Node, ...]:
    """Parts, those that are smaller than `least` as one."""
    small = [part for part in parts if 0 < part.value < least]
    large = [part for part in parts if part.value >= least]
    if small:
        large.append(Node(f"{len(small)} smaller", sum(part.value for part in small)))
    return tuple(large)


def texts(build: Build, folder: Path) -> dict[str, str]:
    """Addresses of modules' texts as a page in `folder` names them, by module, those of compressed files left out."""
    names = {Path(name).stem: name for name in build.files if name.endswith(".v")}
    return {module: quote(os.path.relpath(build.path / name, folder)) for module, name in names.items()}


def area(subject: Subject, found: Reported | str, node: str, folder: Path) -> Section:
    """The section. found: the estimate of the model, or why there is none; node: that it is of; folder: of the page."""
    title = "Area by hierarchy"
    held = None if subject.build is None or not subject.is_chip else held_synthesis(subject.build)
    command = subject.command("synth") if subject.is_chip else "hardloom synth BUILD"
    if held is not None and held[0].library is not None:
        figures, hierarchy = held
        tree = module_tree(hierarchy, hierarchy.top, subject.build.manifest.module_prefix if subject.build else "")
        units = list(figures.units.items())
        shown = {"tiles": tiles(tree, *SIZE), "unit": "GE", "total": tree.value, "units": units, "kind": "synthesized"}
        shown |= {"texts": texts(subject.build, folder) if subject.build else {}}
        return Section("area", title, (command,), shown | {"size": SIZE, "remarks": remarks(figures), "node": node})
    if isinstance(found, str) or found.estimate.emitted is None:
        return Section("area", title, missing=f"nothing of it has been synthesized; `{command}` does that")
    parts = found.estimate.emitted.area_mm2
    whole = Node(f"chip at {node}, estimated", sum(parts.values()), parts=tuple(Node(*part) for part in parts.items()))
    shown = {"tiles": tiles(whole, *SIZE), "unit": "mm2", "total": whole.value, "units": [], "kind": "estimated"}
    shown |= {"texts": {}}
    estimate = f"hardloom estimate {subject.described} --node {node}"
    return Section("area", title, (estimate,), shown | {"size": SIZE, "remarks": [], "node": node, "command": command})
