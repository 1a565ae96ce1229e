"""Published systems, their reproduction and ours in one table, every cell marked."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hardloom.flows.assumptions.assumptions import read_data
from hardloom.flows.design.estimate.figures import Estimate, estimate, read_model
from hardloom.flows.design.estimate.request import Request

__all__ = ["COLUMNS", "Row", "comparison", "reproduction"]

COLUMNS = ("area_mm2", "area_um2_per_parameter", "tokens_per_s", "power_w", "tokens_per_joule")
REPRODUCED = {
    "tokens_per_s": 249_960,
    "tokens_per_joule": 36.2,
    "area_mm2": 13_232,
    "mask_cost_reduction": 112,
    "nre_usd_low": 59.25e6,
    "nre_usd_high": 123.3e6,
    "yield": 0.43,
    "die_usd": 629,
}
"""Figures of arXiv 2508.16151v2 (tables 1, 2 and 5, abstract) that the model must give from the paper's parameters."""


@dataclass(frozen=True)
class Row:
    """One system. marks: for every figure `published`, `derived` (from published ones), `reproduced` or `ours`;
    evidence: what they rest on, a chip that was fabricated, laid out, simulated or estimated."""

    name: str
    model: str
    node: str
    dies: int | None
    evidence: str
    figures: dict[str, float]
    marks: dict[str, str]
    source: str


def published() -> Iterator[Row]:
    """Rows of `systems.toml`, with what follows from their figures."""
    for system in read_data("systems")["system"]:
        figures = {name: float(system[name]) for name in COLUMNS if name in system}
        marks = dict.fromkeys(figures, "published")
        derived: dict[str, float] = {}
        if "area_mm2" in figures:
            derived["area_um2_per_parameter"] = figures["area_mm2"] * 1e6 / system["parameters"]
        if "power_w" in figures:
            derived.setdefault("tokens_per_joule", figures["tokens_per_s"] / figures["power_w"])
        new = {name: value for name, value in derived.items() if name not in figures}
        yield Row(
            system["name"],
            system["model"],
            system.get("node", ""),
            system.get("dies"),
            system["evidence"],
            figures | new,
            marks | dict.fromkeys(new, "derived"),
            system["source"],
        )


def own(name: str, found: Estimate, mark: str) -> Row:
    figures = {column: found.to_json_dict()[column] for column in COLUMNS}
    marks = dict.fromkeys(COLUMNS, mark)
    return Row(
        name, found.shape.name, found.request.node, found.chip.dies, "estimated", figures, marks, "`hardloom estimate`"
    )


def comparison(node: str = "5nm") -> list[Row]:
    """Published systems, HNLPU reproduced, HNLPU with our arrays, and our chips at `node`."""
    rows = list(published())
    rows.append(own("HNLPU, by this model", run("gpt-oss-120b", Request()), "reproduced"))
    rows.append(own("HNLPU with our arrays", run("gpt-oss-120b", Request(arrays="hardloom")), "ours"))
    for model in ("llada-moe-7b", "llada2.0-mini", "llada2.0-flash", "gpt-oss-120b"):
        found = run(model, Request(node=node, design="hardloom"))
        if found.emitted is not None:
            rows.append(own("hardloom, emitted", replace(found, chip=found.emitted), "ours"))
        rows.append(own("hardloom, projected", found, "ours"))
    return rows


def run(model: str, request: Request) -> Estimate:
    return estimate(*read_model(model, None), request)


def reproduction() -> list[dict[str, Any]]:
    """Every figure of `REPRODUCED`: published, by this model from the paper's parameters, and the relative error."""
    found = run("gpt-oss-120b", Request()).to_json_dict()
    return [
        {"figure": name, "published": value, "reproduced": found[name], "error": found[name] / value - 1}
        for name, value in REPRODUCED.items()
    ]
