"""What a chip of the model would be at a process node: figures with ranges, and what moves them."""

from math import log10
from typing import Any

from hardloom.flows.design.estimate.figures import Estimate, value_of
from hardloom.flows.design.estimate.report import Reported, lines, report
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.tornado import METRICS, bars
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.errors import UserError

__all__ = ["estimate", "estimated"]

WIDTH = 420


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
    held = {
        "chips": chips,
        "not_emitted": values["not_emitted"],
        "lines": [line for line in lines(values, found.ranges) if line[0] != "model"],
        "tornado": [tornado(found.estimate, metric) for metric in METRICS],
        "width": WIDTH,
        "assumptions": sorted(values["assumptions"], key=lambda one: one["name"]),
    }
    command = f"hardloom estimate {subject.described} --node {node} --tornado tornado.png"
    return Section("estimate", title, (command,), held)


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
