"""Area by hierarchy: of what has been synthesized, or else of the estimate."""

import os
from pathlib import Path
from urllib.parse import quote

from hardloom.flows.design.estimate.report import Reported
from hardloom.flows.pictures.treemap import Node, drawn
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.flows.synth.command import held_synthesis
from hardloom.flows.synth.report import remarks
from hardloom.gen.build.folder import Build

__all__ = ["area"]


def texts(build: Build, folder: Path) -> dict[str, str]:
    """Addresses of modules' texts as a page in `folder` names them, by module, those of compressed files left out."""
    names = {Path(name).stem: name for name in build.files if name.endswith(".v")}
    return {module: quote(os.path.relpath(build.path / name, folder)) for module, name in names.items()}


def area(subject: Subject, found: Reported | str, node: str, folder: Path) -> Section:
    """The section. found: the estimate of the model, or why there is none; node: that it is of; folder: of the page."""
    title = "Area by hierarchy"
    held = None if subject.build is None or not subject.is_chip else held_synthesis(subject.build)
    command = subject.command("synth") if subject.is_chip else "hardloom synth BUILD"
    if held is not None and (tree := held[0].tree) is not None:
        figures, _ = held
        units = list(figures.units.items())
        links = texts(subject.build, folder) if subject.build else {}
        shown = {"drawn": drawn(tree, "GE", links=links), "total": tree.value, "units": units, "kind": "synthesized"}
        return Section("area", title, (command,), shown | {"remarks": remarks(figures), "node": node})
    if isinstance(found, str) or found.estimate.emitted is None:
        return Section("area", title, missing=f"nothing of it has been synthesized; `{command}` does that")
    parts = found.estimate.emitted.area_mm2
    whole = Node(f"chip at {node}, estimated", sum(parts.values()), parts=tuple(Node(*part) for part in parts.items()))
    shown = {"drawn": drawn(whole, "mm2", 4), "total": whole.value, "units": [], "kind": "estimated"}
    estimate = f"hardloom estimate {subject.described} --node {node}"
    return Section("area", title, (estimate,), shown | {"remarks": [], "node": node, "command": command})
