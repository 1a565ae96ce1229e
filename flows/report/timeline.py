"""Timeline: when each unit hands over the packets of a forward pass, by the cycle model and on the simulated chip."""

from dataclasses import dataclass

import numpy as np

from hardloom.flows.bench.timeline import ProbeTimes, measured_times, modelled_times, probe_times
from hardloom.flows.chips.info import build_info
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.report.axes import LinearAxis
from hardloom.flows.report.run import GoldenRun
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.build.folder import Build
from hardloom.verif.chip.simulation import Run, SimulatedChip

__all__ = ["Row", "modelled_rows", "timeline", "timeline_rows"]

TITLE = "Timeline of units"
WIDTH = 1000


@dataclass(frozen=True)
class Row:
    """A probe point. modelled, measured: cycles in which its packets' last beats pass, from the embedding's first on,
    float64 and int64 [packets]; None where the cycle model has no such point, or nothing was simulated."""

    name: str
    modelled: np.ndarray | None
    measured: np.ndarray | None = None

    @property
    def first(self) -> float:
        """When the first packet has passed."""
        (earliest, *_) = [float(times[0]) for times in (self.measured, self.modelled) if times is not None]
        return earliest

    @property
    def last(self) -> float:
        """When the last one has, whichever says so."""
        return max(float(times.max()) for times in (self.measured, self.modelled) if times is not None)


def modelled_rows(build: Build, first: Pass) -> list[Row]:
    """Of a forward pass through a chip without another in it, the earliest probe point above."""
    found = modelled_times(build, first)
    start = found["embedding"][0]
    return sorted((Row(name, times - start) for name, times in found.items() if len(times)), key=lambda row: row.first)


def timeline_rows(build: Build, run: GoldenRun, first: Pass, chip: SimulatedChip | None) -> list[Row]:
    """Of the first pass of a run, with what is measured on the simulated chip where there is one."""
    modelled = modelled_rows(build, first)
    if chip is None:
        return modelled
    expected = {row.name: row.modelled for row in modelled}
    found = measured_times(chip, Run(run.prompt, run.sampling), first)
    start = found["embedding"][0, 1]
    return [Row(name, expected.get(name), times[:, 1] - start) for name, times in found.items()]


def timeline(subject: Subject, run: GoldenRun, chip: SimulatedChip | None) -> Section:
    """The section. chip: to measure it on too; None: the cycle model alone."""
    first = run.first
    if subject.build is None or first is None:
        return Section("timeline", TITLE, missing=subject.no_chip)
    rows = timeline_rows(subject.build, run, first, chip)
    axis = LinearAxis(max(row.last for row in rows), WIDTH)
    held = {
        "rows": [(row, bars(row, axis)) for row in rows],
        "cycles": axis.high,
        "positions": len(first.positions),
        "grid": axis.ticks,
        "width": WIDTH,
        "measured": chip is not None,
        "figures": [one for row in rows if (one := figures(row)) is not None],
        "throughput": build_info(subject.path).throughput,
    }
    simulated = () if chip else (subject.command("report", "--simulate", "-o", "report.html"),)
    commands = (*simulated, subject.command("bench timeline", "-o", "timeline.png"), subject.command("info"))
    return Section("timeline", TITLE, commands, held)


@dataclass(frozen=True)
class Bar:
    """Of a row what is drawn: a span of all its packets, and a stroke a packet. name: `measured` or `modelled`; places:
    of the packets from left to right; told: the cycles of the first and the last, in words."""

    name: str
    places: list[float]
    told: str

    @property
    def width(self) -> float:
        return self.places[-1] - self.places[0]


def bars(row: Row, axis: LinearAxis) -> list[Bar]:
    """Measured above modelled, what there is of them."""
    known = [(name, times) for name in ("measured", "modelled") if (times := getattr(row, name)) is not None]
    return [
        Bar(name, [axis.place(time) for time in times.tolist()], f"{name} {times[0]:,.0f} to {times[-1]:,.0f}")
        for name, times in known
    ]


def figures(row: Row) -> ProbeTimes | None:
    """Measured and modelled cycles of a row; None where it was not simulated."""
    return None if row.measured is None else probe_times(row.name, row.measured, row.modelled)
