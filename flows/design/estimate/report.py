"""What `hardloom estimate` prints."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from hardloom.flows.console.report import Part, facts, table
from hardloom.flows.design.estimate.figures import Estimate, error_bars, estimate, read_model
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.systems import COLUMNS, Row, comparison, reproduction
from hardloom.golden.errors import UserError

__all__ = ["Reported", "comparison_parts", "estimate_parts", "lines", "report", "report_comparison"]

BARS = ("area_um2_per_parameter", "tokens_per_s", "tokens_per_joule", "usd_per_million_tokens")


@dataclass(frozen=True)
class Reported:
    """An estimate, and low and high of the figures of `BARS`."""

    estimate: Estimate
    ranges: dict[str, tuple[float, float]]

    def to_json_dict(self) -> dict[str, Any]:
        return {**self.estimate.to_json_dict(), "error_bars": self.ranges}


def report(like: str | None, checkpoint: Path | None, request: Request, tornado: Path | None) -> Reported:
    """The estimate with its error bars; draws the tornado plot where a file is named.

    Raises UserError as `estimate` does, and where the throughput that was given is out of reach.
    """
    found = estimate(*read_model(like, checkpoint), request)
    check_reached(found)
    bars = BARS if found.emitted is None else (*BARS, "emitted_tokens_per_s")
    ranges = error_bars(found, bars)
    if tornado is not None:
        from hardloom.flows.design.estimate.tornado import plot_tornado

        plot_tornado(found, tornado)
    return Reported(found, ranges)


def reaches(found: Estimate) -> bool:
    """Whether the projected chip has the throughput that it is designed for."""
    return found.chip.tokens_per_s >= found.request.target * (1 - 1e-9)


def check_reached(found: Estimate) -> None:
    """Raise UserError with the throughput that is reached where the one that was given is not."""
    chip, asked = found.chip, found.request.tokens_per_s
    if asked is not None and not reaches(found):
        raise UserError(
            f"--tokens-per-second {asked:g}: out of reach of {found.shape.name}; the fastest has "
            f"{chip.tokens_per_s:,.0f} tokens/s on {chip.area:,.4g} mm2, limited by {found.busiest}; give less"
        )


def estimate_parts(reported: Reported) -> Iterator[Part]:
    """The chip as emitted and as projected, then of the latter: figures in words, parts, and the arrays chosen."""
    values, chip = reported.estimate.to_json_dict(), reported.estimate.chip
    yield both_rows(values, reported.ranges)
    if values["not_emitted"]:
        yield f"not emitted: {values['not_emitted']}"
    at_once = reported.estimate.request.at_once
    attention = f"attention of {at_once.head_lanes} x {at_once.query_lanes} heads and queries"
    emitted = f"{at_once.sequences} sequence{'s' * (at_once.sequences > 1)} at once, {attention}"
    if at_once.expert_groups > 1:
        emitted += f", experts in {at_once.expert_groups} groups"
    if at_once.head_tiles > 1:
        emitted += f", the head in {at_once.head_tiles} tiles"
    if at_once.routers > 1:
        emitted += f", {at_once.routers} routers a layer"
    if at_once.temperature:
        emitted += ", noise on logits"
    if at_once.adapter_rank:
        emitted += f", LoRA adapters of rank {at_once.adapter_rank}"
    yield f"emitted: what `hardloom generate` writes, {emitted}; projected, and all below: a full pipeline"
    if (target := values["tokens_per_s_asked"]) is not None and not reaches(reported.estimate):
        yield f"{target:,} tokens/s, asked for by default, are out of reach: limited by {reported.estimate.busiest}"
    yield facts(lines(values, reported.ranges))
    parts = []
    for name in dict.fromkeys([*chip.area_mm2, *chip.power_w]):
        found = (chip.area_mm2.get(name), chip.power_w.get(name))
        parts.append((name, *("" if value is None else f"{value:,.1f}" for value in found)))
    parts.append(("outside the dies", "", f"{values['power_w'] - chip.power:,.1f}"))
    yield table(("part", "mm2", "W"), parts, "area and power by part")
    arrays = []
    for choice in values["array_choices"]:
        counts = (f"{choice[name]:,}" for name in ("inputs", "slices", "weights"))
        figures = tuple(
            f"{choice[name]:.{n}f}"
            for name, n in (("gates_per_weight", 2), ("track_share", 2), ("cycles_per_position", 1))
        )
        arrays.append((choice["kind"], choice["style"], *counts, *figures))
    if arrays:
        columns = (
            "arrays",
            "style",
            "inputs",
            "slices",
            "weights",
            "gates a weight",
            "tracks used",
            "cycles a position",
        )
        yield table(columns, arrays, "arrays chosen", left=columns[:2])
    yield f"{len(values['assumptions'])} assumptions; --json lists them with sources, --tornado ranks them"


def both_rows(values: dict[str, Any], ranges: dict[str, tuple[float, float]]) -> Table:
    """Emitted and projected, as far as they exist."""
    rows = []
    for name, bar in (("emitted", "emitted_tokens_per_s"), ("projected", "tokens_per_s")):
        if v := values[name]:
            low, high = ranges[bar]
            speed = f"{v['tokens_per_s']:,.0f}", f"{low:,.0f} to {high:,.0f}", f"{v['tokens_per_joule']:,.4g}"
            rows.append((name, f"{v['dies']}", f"{v['area_mm2']:,.0f}", *speed))
    return table(("chip", "dies", "mm2", "tokens/s", "range", "tokens/J"), rows)


def lines(v: dict, ranges: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """Label and text of every line of the summary."""

    def between(metric: str, form: str) -> str:
        return f"{v[metric]:{form}} (range {ranges[metric][0]:{form}} to {ranges[metric][1]:{form}})"

    what = f"{v['model']}, {v['parameters']:,} parameters, design {v['design']}, arrays {v['arrays']}, {v['node']}"
    masks = f"{v['shared_masks_usd'] / 1e6:,.2f} M USD shared, {v['per_chip_masks_usd'] / 1e6:,.2f} M a die"
    positions = f"{v['positions_per_token']:.1f} positions a token ({v['sampler']})"
    power = f"{v['power_w']:,.0f} W, {v['power_w_per_mm2']:.2f} W/mm2 of die"
    million = f"{between('usd_per_million_tokens', '.3f')} USD, {v['kg_per_million_tokens'] * 1000:,.2f} g CO2e"
    repaired = [("die, repaired", repair_words(v["repair"]))] if v["repair"] else []
    adapters = [("adapters", adapter_words(v["adapters"]))] if v["adapters"] else []
    clock = next(entry for entry in v["assumptions"] if entry["name"] == "clock_ghz")
    return [
        ("model", what),
        ("area", f"{v['area_mm2']:,.0f} mm2 on {v['dies']} die{'s' * (v['dies'] > 1)}"),
        ("a parameter", f"{between('area_um2_per_parameter', '.4f')} um2"),
        ("throughput", f"{between('tokens_per_s', ',.0f')} tokens/s, {positions}"),
        (
            "clock",
            f"{clock['value']:g} GHz ({clock['kind']}, range {clock['low']:g} to {clock['high']:g}), in --json why",
        ),
        ("energy", f"{between('tokens_per_joule', ',.1f')} tokens/J, {power}"),
        ("NRE", f"{v['nre_usd_low'] / 1e6:,.1f} to {v['nre_usd_high'] / 1e6:,.1f} M USD"),
        ("masks", f"{masks}; naive hardwiring {v['mask_cost_reduction']:,.0f} times as dear"),
        ("die", f"{v['die_usd']:,.0f} USD at {v['yield']:.0%} yield; a system {v['system_usd']:,.0f} USD"),
        *repaired,
        *adapters,
        ("a million tokens", million),
    ]


def adapter_words(found: dict[str, Any]) -> str:
    """LoRA adapters of the projected chip."""
    return (
        f"rank {found['rank']} on q, k, v and o of every layer: {found['bits'] / 1e6:,.1f} Mbit of SRAM, "
        f"{found['products']:,} products a position on {found['multipliers']:,} multipliers, {found['mm2']:,.2f} mm2; "
        "projected, from the gates of one that was synthesized"
    )


def repair_words(found: dict[str, Any]) -> str:
    """Dies with dead neurons, and dies with spares."""
    some = f"{found['yield_tolerating']:.0%} with up to {found['tolerated']} dead neurons"
    spares = f"{found['spares']} programmable spare{'s' * (found['spares'] > 1)} an array"
    return (
        f"{some}; {found['yield_repaired']:.0%} with {spares}, {found['spare_mm2']:,.1f} mm2 in all, "
        f"{found['die_usd_repaired']:,.0f} USD; estimated alone, no generator writes them"
    )


@dataclass(frozen=True)
class Comparison:
    """systems: published ones, their reproduction and ours; reproduction: the HNLPU paper's figures, by this model."""

    systems: list[Row]
    reproduction: list[dict[str, Any]]


def report_comparison(node: str) -> Comparison:
    """Published systems beside ours at `node`."""
    return Comparison(comparison(node), reproduction())


def comparison_parts(found: Comparison) -> Iterator[Part]:
    """The table of systems, every cell marked, and the reproduction of HNLPU."""
    rows = []
    for row in found.systems:
        cells = (f"{row.figures[c]:,.4g} {row.marks[c][0]}" if c in row.figures else "" for c in COLUMNS)
        rows.append((row.name, row.model, row.node, str(row.dies or ""), row.evidence, *cells))
    left, right = ("system", "model", "node", "dies", "evidence"), [column.replace("_", " ") for column in COLUMNS]
    yield table([*left, *right], rows, "p published, d derived from published, r reproduced, o ours", left=left)
    again = [
        (line["figure"], f"{line['published']:,.6g}", f"{line['reproduced']:,.6g}", f"{line['error']:+.1%}")
        for line in found.reproduction
    ]
    columns = ("figure of the HNLPU paper", "published", "this model", "error")
    yield table(columns, again, "reproduction from the paper's parameters")
