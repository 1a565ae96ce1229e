"""What `hardloom estimate` prints."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.design.estimate.compare import COLUMNS, comparison, reproduction
from flows.design.estimate.figures import Estimate, Request, error_bar, estimate, read_model

__all__ = ["report", "report_comparison"]

BARS = ("area_um2_per_parameter", "tokens_per_s", "tokens_per_joule", "usd_per_million_tokens")


def report(like: str | None, checkpoint: Path | None, request: Request, tornado: Path | None, as_json: bool) -> None:
    """Print the estimate; draw the tornado plot where a file is named."""
    found = estimate(*read_model(like, checkpoint), request)
    ranges = {metric: error_bar(found, metric) for metric in BARS}
    if tornado is not None:
        from flows.design.estimate.tornado import plot_tornado

        plot_tornado(found, tornado)
    if as_json:
        print(json.dumps({**found.to_json_dict(), "error_bars": ranges}, indent=1))
    else:
        print_estimate(found, ranges)


def print_estimate(found: Estimate, ranges: dict[str, tuple[float, float]]) -> None:
    console, values = Console(highlight=False), found.to_json_dict()
    facts = Table(show_header=False, box=None)
    for label, text in lines(values, ranges):
        facts.add_row(label, text)
    console.print(facts)
    parts = Table("part", title="dies and power by part")
    parts.add_column("mm2", justify="right")
    parts.add_column("W", justify="right")
    for name in dict.fromkeys([*found.chip.area_mm2, *found.chip.power_w]):
        area, power = found.chip.area_mm2.get(name), found.chip.power_w.get(name)
        parts.add_row(name, *("" if v is None else f"{v:,.1f}" for v in (area, power)))
    console.print(parts)
    if values["array_choices"]:
        arrays = Table("arrays", "style", title="arrays chosen")
        for column in ("inputs", "slices", "weights", "gates a weight", "cycles a position"):
            arrays.add_column(column, justify="right")
        for choice in values["array_choices"]:
            counts = (f"{choice[name]:,}" for name in ("inputs", "slices", "weights"))
            figures = (f"{choice['gates_per_weight']:.2f}", f"{choice['cycles_per_position']:.1f}")
            arrays.add_row(choice["kind"], choice["style"], *counts, *figures)
        console.print(arrays)
    console.print(f"{len(values['assumptions'])} assumptions; --json lists them with sources, --tornado ranks them")


def lines(v: dict, ranges: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """Label and text of every line of the summary."""

    def between(metric: str, form: str) -> str:
        return f"{v[metric]:{form}} (range {ranges[metric][0]:{form}} to {ranges[metric][1]:{form}})"

    what = f"{v['model']}, {v['parameters']:,} parameters, design {v['design']}, arrays {v['arrays']}, {v['node']}"
    masks = f"{v['shared_masks_usd'] / 1e6:,.2f} M USD shared, {v['per_chip_masks_usd'] / 1e6:,.2f} M a die"
    positions = f"{v['positions_per_token']:.1f} positions a token ({v['sampler']})"
    power = f"{v['power_w']:,.0f} W, {v['power_w_per_mm2']:.2f} W/mm2 of die"
    million = f"{between('usd_per_million_tokens', '.3f')} USD, {v['kg_per_million_tokens'] * 1000:,.2f} g CO2e"
    return [
        ("model", what),
        ("area", f"{v['area_mm2']:,.0f} mm2 on {v['dies']} die{'s' * (v['dies'] > 1)}"),
        ("a parameter", f"{between('area_um2_per_parameter', '.4f')} um2"),
        ("throughput", f"{between('tokens_per_s', ',.0f')} tokens/s, {positions}"),
        ("energy", f"{between('tokens_per_joule', ',.1f')} tokens/J, {power}"),
        ("NRE", f"{v['nre_usd_low'] / 1e6:,.1f} to {v['nre_usd_high'] / 1e6:,.1f} M USD"),
        ("masks", f"{masks}; naive hardwiring {v['mask_cost_reduction']:,.0f} times as dear"),
        ("die", f"{v['die_usd']:,.0f} USD at {v['yield']:.0%} yield; a system {v['system_usd']:,.0f} USD"),
        ("a million tokens", million),
    ]


def report_comparison(node: str, as_json: bool) -> None:
    """Print the table of systems and the reproduction of HNLPU."""
    rows, repeated = comparison(node), reproduction()
    if as_json:
        print(json.dumps({"systems": [vars(row) for row in rows], "reproduction": repeated}, indent=1))
        return
    console = Console(highlight=False, width=160)
    table = Table(
        "system", "model", "node", "dies", title="p published, d derived from published, r reproduced, o ours"
    )
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="right")
    for row in rows:
        cells = (f"{row.figures[c]:,.4g} {row.marks[c][0]}" if c in row.figures else "" for c in COLUMNS)
        table.add_row(row.name, row.model, row.node, str(row.dies or ""), *cells)
    console.print(table)
    again = Table("figure of the HNLPU paper", title="reproduction from the paper's parameters")
    for column in ("published", "this model", "error"):
        again.add_column(column, justify="right")
    for line in repeated:
        again.add_row(
            line["figure"], f"{line['published']:,.6g}", f"{line['reproduced']:,.6g}", f"{line['error']:+.1%}"
        )
    console.print(again)
