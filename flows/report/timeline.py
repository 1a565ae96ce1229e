"""Timeline: when each unit hands over the packets of a forward pass, by the cycle model."""

from dataclasses import dataclass

import numpy as np

from hardloom.flows.bench.cycles import chip_geometry
from hardloom.flows.chips.info import build_info
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.sequences import Pipeline
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.build.folder import Build

__all__ = ["Row", "modelled_rows", "timeline"]

TITLE = "Timeline of units"
WIDTH = 1000


@dataclass(frozen=True)
class Row:
    """A probe point. times: cycles in which its packets' last beats pass, from the embedding's first on, float64
    [packets]."""

    name: str
    times: np.ndarray


def modelled_rows(build: Build, first: Pass) -> list[Row]:
    """Of a forward pass through a chip without another in it, the earliest probe point above."""
    found: dict[str, np.ndarray] = {}
    Pipeline(chip_geometry(build, build.checkpoint()), found.__setitem__).send(0, first)
    start = found["embedding"][0]
    rows = [Row(name, times - start) for name, times in found.items() if len(times)]
    return sorted(rows, key=lambda row: row.times[0])


def timeline(subject: Subject, first: Pass | None) -> Section:
    """The section. first: pass of the run."""
    if subject.build is None or first is None:
        return Section("timeline", TITLE, missing=subject.no_chip)
    rows = modelled_rows(subject.build, first)
    cycles = max(float(row.times.max()) for row in rows)
    shown = []
    for row in rows:
        places = row.times * WIDTH / max(cycles, 1)
        shown.append((row, places[0], places[-1] - places[0], [f"{place:.1f}" for place in places.tolist()]))
    grid = [(share * WIDTH, f"{share * cycles:,.0f}") for share in np.linspace(0, 1, 6).tolist()]
    held = {"rows": shown, "cycles": cycles, "positions": len(first.positions), "grid": grid, "width": WIDTH}
    held |= {"throughput": build_info(subject.path).throughput}
    commands = (subject.command("bench timeline", "-o", "timeline.png"), subject.command("info"))
    return Section("timeline", TITLE, commands, held)
