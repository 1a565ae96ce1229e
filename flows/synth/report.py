"""Figures of a synthesis as a table and as a page of HTML."""

from collections.abc import Iterator
from pathlib import Path

from hardloom.flows.console.report import Part, table
from hardloom.flows.pictures.treemap import drawn
from hardloom.flows.synth.figures import COLUMNS, SynthFigures
from hardloom.flows.synth.library.library import reasons
from hardloom.flows.synth.timing import Timing
from hardloom.gen.text.templates import environment
from hardloom.golden.files import write_file

__all__ = ["is_report", "remarks", "synthesis_parts", "write_html"]


SHOWN = 20
"""Units whose longest paths are told; --json has all."""


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"


def rows(figures: SynthFigures) -> tuple[list[str], list[list[str]]]:
    """Column heads and lines of the table by unit."""
    columns = ["instances", *(c for c in COLUMNS if figures.library or c not in ("ge", "area"))]
    lines = [[name, *(figure(unit[c]) for c in columns)] for name, unit in figures.units.items()]
    lines.append(["whole", "1", *(figure(figures.total[c]) for c in columns[1:])])
    return ["unit", *(c.replace("_", " ").replace("ge", "GE") for c in columns)], lines


def remarks(figures: SynthFigures) -> list[str]:
    """Sentences below the table."""
    library = figures.library
    said = [f"library {library}: 1 GE is its NAND2, area {figures.nand2_area:g}" if library else "generic gates"]
    if figures.left_out:
        said.append(reasons(figures.left_out))
    if figures.total["memory_bits"]:
        said.append("memory bits are those of memories that are written; they are not in the area")
    if weights := figures.weights:
        unit, value = ("GE", figures.ge_per_weight) if library else ("cells", figures.cells_per_weight)
        said.append(f"{weights:,} weights in arrays, {value:g} {unit} a weight")
    if counted := figures.counted:
        planes = f", and {counted.planes:,} planes of {counted.plane_kinds} lengths" if counted.planes else ""
        said.append(
            f"counted: {counted.arrays:,} arrays by their cells{planes}; {counted.tables:,} tables by samples of "
            f"{counted.tables_synthesized:,}"
        )
    if flat := figures.flat:
        amount = f"{figure(flat.synthesis.ge)} GE" if library else f"{sum(flat.synthesis.cells.values()):,} cells"
        said.append(f"flattened: {amount}, {flat.difference:+.1%} against the prefabricated cells counted")
    if timing := figures.timing:
        where = f" from {timing.start} to {timing.end}" if timing.start else ""
        where = f" in {timing.end}" if timing.end and not where else where
        said.append(f"longest path {timing.longest_ns:.3f} ns{where} ({timing.tool}){judged(timing)}")
    if power := figures.power:
        wires, left = "", "without wires, clock tree and glitches"
        if power.weight_range_fj is not None:
            low, high = power.weight_range_fj
            wires, left = f", wires {power.wires_pj:.4g}", "without clock tree and glitches"
            left += f"; with shorter and longer wires {low:.4g} to {high:.4g} fJ a weight"
        said.append(
            f"{power.gemv_pj:.4g} pJ a vector, {power.weight_fj:.4g} fJ a weight "
            f"({power.neurons_weight_fj:.4g} without the shell, which all rows share) at {power.volts:g} V (nets "
            f"{power.switching_pj:.4g}, inside cells {power.internal_pj:.4g}, clock {power.clock_pj:.4g}{wires} pJ); "
            f"leakage {power.leakage_uw:.4g} uW; {left}"
        )
    said.append(f"{figures.cpu_seconds:,.0f} s of CPU, at most {figures.peak_mib:,.0f} MiB a process")
    return said


def judged(timing: Timing) -> str:
    """Whether the clock that was asked for is met."""
    if timing.met is None:
        return "; no clock given, so nothing is sized for one"
    verdict = "meets" if timing.met else "MISSES"
    return f": {verdict} the clock of {timing.clock_ns:g} ns, slack {timing.slack_ns:+.3f} ns"


def synthesis_parts(figures: SynthFigures) -> Iterator[Part]:
    """The table by unit, and sentences below it."""
    heads, (*lines, whole) = rows(figures)
    made = table(heads, lines, f"{figures.build}: {figures.top}", no_wrap=True)
    made.add_row(*whole, style="bold")
    yield made
    if figures.paths:
        longest = [(unit, f"{ns:.3f}") for unit, ns in [*figures.paths.items()][:SHOWN]]
        yield table(("longest path that ends in", "ns"), longest, f"{len(figures.paths):,} units, the slowest")
    yield from remarks(figures)
    yield from (f"failed: {reason}" for reason in figures.failed.values())


def is_report(held: bytes) -> bool:
    """Whether a file that holds it is a page of `write_html`: its head says so."""
    return b'<meta name="generator" content="hardloom synth">' in held[:1000]


def write_html(figures: SynthFigures, path: Path) -> None:
    """One page without anything from elsewhere."""
    template = environment("hardloom.flows.synth", html=True).get_template("report.html.j2")
    heads, lines = rows(figures)
    key = "ge" if figures.library else "cells"
    largest = max((unit[key] for unit in figures.units.values()), default=0) or 1
    bars = {name: round(100 * unit[key] / largest, 2) for name, unit in figures.units.items()}
    treemap = drawn(figures.tree, "GE") if figures.tree else ""
    text = template.render(
        treemap=treemap, figures=figures, heads=heads, lines=lines, bars=bars, remarks=remarks(figures), key=key
    )
    write_file(path, text)
