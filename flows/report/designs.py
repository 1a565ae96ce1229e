"""Designs: the Pareto front that exploring finds for the model, and published systems beside ours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.systems import COLUMNS, Row, comparison
from hardloom.flows.design.explore.points import Point as Design
from hardloom.flows.design.explore.points import pareto
from hardloom.flows.design.explore.report import search_space
from hardloom.flows.design.explore.search import Space
from hardloom.flows.report.axes import LogAxis, label_places
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.errors import UserError

__all__ = ["Front", "designs", "fronts"]

PLOT = (1000.0, 380.0)
AREA, SPEED, ENERGY = "area_um2_per_parameter", "tokens_per_s", "tokens_per_joule"
NAMES = {AREA: "um2 a parameter", SPEED: "tokens a second", ENERGY: "tokens a joule"}


@dataclass(frozen=True)
class Front:
    """Designs that no other dominates. label: of which styles; points: tokens/s and um2 a parameter, the slowest
    first."""

    label: str
    points: list[tuple[float, float]]


def designs(subject: Subject, node: str) -> Section:
    """The section."""
    systems = comparison(node)
    try:
        space = search_space(None, subject.folder, Request(node=node, design="hardloom"), None, AtOnce())
        found, why, kind = fronts(space), None, "emitted" if space.why_projected is None else "projected"
    except UserError as error:
        found, why, kind = [], str(error), ""
    held = {
        "plots": [plot(systems, SPEED, AREA, found), plot(systems, AREA, ENERGY, [])],
        "model": subject.model.family,
        "kind": kind,
        "why": why,
        "columns": [column.replace("_", " ") for column in COLUMNS],
        "systems": [(row, [(row.figures.get(c), row.marks.get(c, "")) for c in COLUMNS]) for row in systems],
        "fronts": found,
    }
    commands = (f"hardloom explore {subject.described} --node {node} --plot front.png", "hardloom estimate --compare")
    return Section("designs", "Designs: explored, beside published systems", commands, held)


def fronts(space: Space) -> list[Front]:
    """Of all styles, and of those alone that keep metal-only respins."""
    spaces = [(", ".join(space.styles), space)]
    if (alone := space.metal_only()) is not None:
        spaces.append((f"{', '.join(alone.styles)} alone: metal-only respins", alone))
    scale = 1e6 / space.shape.parameters

    def rated(found: list[Design]) -> list[tuple[float, float]]:
        return [(design.tokens_per_s, design.area * scale) for design in found]

    return [Front(label, rated(pareto(list(one.points("area")), "area"))) for label, one in spaces]


def plot(systems: Sequence[Row], across: str, up: str, curves: Sequence[Front]) -> dict[str, Any]:
    """Systems of which both figures are known, and curves of designs, on logarithmic axes: what a template draws."""
    known = [(number, one) for number, one in enumerate(systems, 1) if across in one.figures and up in one.figures]
    drawn = [point for curve in curves for point in curve.points]
    x = LogAxis.over([*(one.figures[across] for _, one in known), *(point[0] for point in drawn)], PLOT[0])
    y = LogAxis.over([*(one.figures[up] for _, one in known), *(point[1] for point in drawn)], PLOT[1])
    places = [(x.place(one.figures[across]), height(y)(one.figures[up])) for _, one in known]
    labels = [f"{number} {short(one)}" for number, one in known]
    at = label_places([(*place, label) for place, label in zip(places, labels, strict=True)], PLOT)
    lines = [(curve.label, steps([(x.place(s), height(y)(a)) for s, a in curve.points])) for curve in curves]
    marks = [
        {"place": place, "label": label, "at": where, "ours": one.marks[up] == "ours", "told": told(one, across, up)}
        for (_, one), place, label, where in zip(known, places, labels, at, strict=True)
    ]
    return {
        "size": PLOT,
        "x": {"name": NAMES[across], "ticks": x.ticks},
        "y": {"name": NAMES[up], "ticks": [(round(PLOT[1] - place, 1), text) for place, text in y.ticks]},
        "marks": marks,
        "lines": lines,
    }


def short(one: Row) -> str:
    """A system's name; of ours, the model that it is of."""
    maker, _, which = one.name.partition(", ")
    return f"{one.model}, {which}" if maker == "hardloom" else one.name


def height(axis: LogAxis) -> Callable[[float], float]:
    """From a figure to its place from above."""
    return lambda value: round(PLOT[1] - axis.place(value), 1)


def steps(points: Sequence[tuple[float, float]]) -> str:
    """The path of a front: between two designs the slower throughput costs what the faster does."""
    (x, y), *rest = points
    return f"M{x} {y}" + "".join(f"V{b}H{a}" for a, b in rest)


def told(one: Row, across: str, up: str) -> str:
    """A system in words."""
    figures = ", ".join(f"{one.figures[name]:,.4g} {NAMES[name]} ({one.marks[name]})" for name in (across, up))
    return f"{one.name}, {one.model}: {figures}"
