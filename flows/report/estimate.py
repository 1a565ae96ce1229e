"""What a chip of the model would be at a process node: figures with ranges, what moves them, and published systems."""

from dataclasses import dataclass
from math import log10
from typing import Any

from hardloom.flows.design.estimate.figures import Estimate, value_of
from hardloom.flows.design.estimate.report import Reported, lines, report
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.systems import COLUMNS, Row, comparison
from hardloom.flows.design.estimate.tornado import METRICS, bars
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.errors import UserError

__all__ = ["estimate", "estimated"]

WIDTH = 420
PLOT = (1000, 360)
ACROSS, UP = "area_um2_per_parameter", "tokens_per_joule"


def estimated(subject: Subject, node: str) -> Reported | str:
    """Of the subject's model, or why there is none."""
    try:
        return report(None, subject.folder, Request(node=node), None)
    except UserError as error:
        return str(error)


def estimate(subject: Subject, found: Reported | str, node: str) -> Section:
    """The section."""
    title = f"Estimate at {node}"
    if isinstance(found, str):
        return Section("estimate", title, missing=f"`hardloom estimate` says: {found}")
    values = found.estimate.to_json_dict()
    chips = []
    for name, bar in (("emitted", "emitted_tokens_per_s"), ("projected", "tokens_per_s")):
        if row := values[name]:
            chips.append((name, row, found.ranges[bar]))
    systems = comparison(node)
    held = {
        "chips": chips,
        "not_emitted": values["not_emitted"],
        "lines": [line for line in lines(values, found.ranges) if line[0] != "model"],
        "tornado": [tornado(found.estimate, metric) for metric in METRICS],
        "width": WIDTH,
        "assumptions": sorted(values["assumptions"], key=lambda one: one["name"]),
        "points": points(systems),
        "plot": PLOT,
        "columns": [column.replace("_", " ") for column in COLUMNS],
        "systems": [(row, [(row.figures.get(c), row.marks.get(c, "")) for c in COLUMNS]) for row in systems],
    }
    folder = subject.folder if subject.build is None else f"{subject.path}/quantized"
    commands = (f"hardloom estimate {folder} --node {node} --tornado tornado.png", "hardloom estimate --compare")
    return Section("estimate", title, commands, held)


def tornado(base: Estimate, metric: str) -> dict[str, Any]:
    """The bars of a figure, in places from left to right on a logarithmic scale."""
    found, centre = bars(base, metric), value_of(base, metric)
    ends = [centre, *(figure for bar in found for figure in bar.figures)]
    low, high = log10(min(ends)), log10(max(ends))

    def place(value: float) -> float:
        return round((log10(value) - low) / (high - low or 1) * WIDTH, 1)

    rows = [(bar, [row(place(centre), place(figure)) for figure in bar.figures]) for bar in found]
    return {"title": METRICS[metric], "centre": centre, "at": place(centre), "rows": rows}


def row(centre: float, end: float) -> tuple[float, float]:
    """Start and width of a bar."""
    return min(centre, end), abs(end - centre)


@dataclass(frozen=True)
class Point:
    """A system of the table.

    Attributes
    ----------
    number: of its row, from 1 on; ours: whether its figures are this project's; x, y: its place; told: what it is.
    """

    number: int
    ours: bool
    x: float
    y: float
    told: str


def points(systems: list[Row]) -> list[Point]:
    """Those whose figures `ACROSS` and `UP` are both known, on logarithmic scales."""
    known = {n: one for n, one in enumerate(systems, 1) if ACROSS in one.figures and UP in one.figures}
    places = []
    for figure, size in ((ACROSS, PLOT[0]), (UP, PLOT[1])):
        logs = [log10(one.figures[figure]) for one in known.values()]
        places.append([round((value - min(logs)) / (max(logs) - min(logs) or 1) * size, 1) for value in logs])
    found = []
    for (number, one), x, y in zip(known.items(), *places, strict=True):
        figures = f"{one.figures[ACROSS]:.4g} um2 a parameter, {one.figures[UP]:.4g} tokens/J, {one.marks[UP]}"
        told = f"{one.name}, {one.model}: {figures}"
        found.append(Point(number, one.marks[UP] == "ours", x, round(PLOT[1] - y, 1), told))
    return found
