"""Figures of a synthesis by unit, as table, JSON and a page of HTML."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from flows.console.report import Part, table
from flows.synth.hierarchy import Hierarchy, own_figures
from golden.files import write_file

__all__ = ["by_unit", "remarks", "synthesis_parts", "write_html"]

OPENED = re.compile(r"layer_\d+(_attention|_experts)?")
"""Modules that are units' containers, besides the chip itself."""

COLUMNS = ("cells", "flip_flops", "memory_bits", "ge", "area")
CONNECTIONS = "(connections between units)"


def by_unit(hierarchy: Hierarchy) -> dict[str, Counter[str]]:
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
            if OPENED.fullmatch(name):
                visit(name)
            else:
                add(unit_name(name, top), hierarchy.total(name), count)

    visit(top)
    return dict(sorted(units.items(), key=lambda item: (-item[1]["ge"], -item[1]["cells"], item[0])))


def unit_name(module: str, top: str) -> str:
    """`wired_layer_1_expert_5_down` to `array down`, `layer_0_experts_router` to `experts router`."""
    name = re.sub(r"^wired_(layer_\d+_|chip_)(expert_\d+_)?", "array ", module)
    if re.search(r"_(scales|gain|bias)$|^array embedding", name):
        name = name.replace("array", "ROM", 1)
    name = re.sub(rf"^(layer_\d+|{top})_", "", name)
    return re.sub(r"^(attention|experts)_", r"\1 ", name)


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"


def rows(figures: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Column heads and lines of the table by unit."""
    columns = ["instances", *(c for c in COLUMNS if figures["library"] or c not in ("ge", "area"))]
    lines = [[name, *(figure(unit[c]) for c in columns)] for name, unit in figures["units"].items()]
    lines.append(["whole", "1", *(figure(figures["total"][c]) for c in columns[1:])])
    return ["unit", *(c.replace("_", " ").replace("ge", "GE") for c in columns)], lines


def remarks(figures: dict[str, Any]) -> list[str]:
    """Sentences below the table."""
    library = figures["library"]
    said = [f"library {library}: 1 GE is its NAND2, area {figures['nand2_area']:g}" if library else "generic gates"]
    if figures["total"]["memory_bits"]:
        said.append("memory bits are those of memories that are written; they are not in the area")
    if weights := figures.get("weights"):
        unit, value = ("GE", figures["ge_per_weight"]) if library else ("cells", figures["cells_per_weight"])
        said.append(f"{weights:,} weights in arrays, {value:g} {unit} a weight")
    if flat := figures.get("flat"):
        said.append(
            f"flattened: {figure(flat['ge'])} GE, {flat['difference']:+.1%} against the prefabricated cells counted"
        )
    if timing := figures.get("timing"):
        where = f" from {timing['start']} to {timing['end']}" if timing["start"] else ""
        where = f" in {timing['end']}" if timing["end"] and not where else where
        said.append(f"longest path {timing['longest_ns']:.3f} ns{where} ({timing['tool']}){judged(timing)}")
    if power := figures.get("power"):
        said.append(
            f"{power['gemv_pj']:.4g} pJ a vector, {power['weight_fj']:.4g} fJ a weight "
            f"({power['neurons_weight_fj']:.4g} without the shell, which all rows share) at {power['volts']:g} V (nets "
            f"{power['switching_pj']:.4g}, inside cells {power['internal_pj']:.4g}, clock {power['clock_pj']:.4g} pJ); "
            f"leakage {power['leakage_uw']:.4g} uW; without wires, clock tree and glitches"
        )
    said.append(f"{figures['cpu_seconds']:,.0f} s of CPU, at most {figures['peak_mib']:,.0f} MiB a process")
    return said


def judged(timing: dict[str, Any]) -> str:
    """Whether the clock that was asked for is met."""
    if timing["met"] is None:
        return "; no clock given, so nothing is sized for one"
    verdict = "meets" if timing["met"] else "MISSES"
    return f": {verdict} the clock of {timing['clock_ns']:g} ns, slack {timing['slack_ns']:+.3f} ns"


def synthesis_parts(figures: dict[str, Any]) -> Iterator[Part]:
    """The table by unit, and sentences below it."""
    heads, (*lines, whole) = rows(figures)
    made = table(heads, lines, f"{figures['build']}: {figures['top']}", no_wrap=True)
    made.add_row(*whole, style="bold")
    yield made
    yield from remarks(figures)
    yield from (f"failed: {reason}" for reason in figures["failed"].values())


def write_html(figures: dict[str, Any], path: Path) -> None:
    """One page without anything from elsewhere."""
    loader = jinja2.PackageLoader("flows.synth", "")
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html.j2")
    heads, lines = rows(figures)
    key = "ge" if figures["library"] else "cells"
    largest = max((unit[key] for unit in figures["units"].values()), default=0) or 1
    bars = {name: round(100 * unit[key] / largest, 2) for name, unit in figures["units"].items()}
    text = template.render(figures=figures, heads=heads, lines=lines, bars=bars, remarks=remarks(figures), key=key)
    write_file(path, text)
