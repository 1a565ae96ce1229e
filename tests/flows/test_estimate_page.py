"""The tables of docs/estimate.md and README.md say what the commands that they name print today."""

import functools
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hardloom.flows.design.estimate.arrays import PRICED_STYLES
from hardloom.flows.design.estimate.figures import estimate, figures, read_model
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.systems import COLUMNS
from tests import ROOT
from tests.command_line import hardloom

PAGES = {name: (ROOT / name).read_text() for name in ("docs/estimate.md", "docs/explore.md", "README.md")}
PAGE = PAGES["docs/estimate.md"]

EXPLORED = "| LLaDA-MoE-7B, 5 nm, 256 positions |"
"""Where the table of docs/explore.md begins."""

SLOW = ("--head-tiles 4", "--head-tiles 8", "down=mxfp6", "mxfp4,q=mxfp4")
"""Options of rows that price arrays that are not stored, and so take seconds."""


@functools.cache
def estimated(*options: str) -> Any:
    """Figures of `hardloom estimate` with `options`."""
    ran = hardloom("estimate", *options, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def rows_of(head: str, page: str = PAGE) -> list[list[str]]:
    """Cells of every row of the table whose first line begins with `head`."""
    lines = itertools.takewhile(lambda line: line.strip().startswith("|"), page[page.index(head) :].splitlines()[2:])
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]


def says(cell: str, *values: float) -> bool:
    """Whether the numbers of a cell are these, in as many decimals as they have, or in thousands."""
    found = re.findall(r"(?<![A-Za-z])\d[\d,]*(?:\.\d+)?", cell)

    def is_said(text: str, value: float) -> bool:
        return text in (f"{value:,.{len(text.partition('.')[2])}f}", f"{round(value, -3):,.0f}")

    return len(found) == len(values) and all(map(is_said, found, values))


def chip_cells(found: Any, chip: str) -> list[tuple[float, ...]]:
    """mm2, tokens/s, their range, and tokens/J of the chip `emitted` or `projected`."""
    bar = found["error_bars"]["emitted_tokens_per_s" if chip == "emitted" else "tokens_per_s"]
    values = found[chip]
    return [(values["area_mm2"],), (values["tokens_per_s"],), tuple(bar), (values["tokens_per_joule"],)]


def test_the_headline_has_both_chips():
    found = estimated("--like", "llada-moe-7b")
    for chip, dies, *cells in rows_of("| LLaDA-MoE-7B, 256 positions"):
        assert dies == str(found[chip]["dies"])
        assert all(says(cell, *values) for cell, values in zip(cells, chip_cells(found, chip), strict=True)), cells


@pytest.mark.parametrize("row", [1, 2])
def test_what_was_found_beside_what_was_aimed_at(row):
    (options, cells) = list(asked("| LLaDA-MoE-7B at 5 nm | dies | tokens/s"))[row]
    found = estimated("--like", "llada-moe-7b", *options.split())
    area, published = found["area_um2_per_parameter"], 13232e6 / 116_829_156_672
    assert says(cells[0], found["dies"]) and says(cells[1], found["tokens_per_s"])
    assert says(cells[2], area, area / published) if row == 1 else says(cells[2], area)


FORMER = {
    "clock": {"clock_ghz": 1.0},
    "wires": {"tracks_per_um": 1e9},
    "mapped": {"unit_timed": 1.0} | {f"{style}_timed": 1.0 for style in PRICED_STYLES},
    "overhead": {"floorplan_overhead": 0.05, "sram_efficiency": 0.70, "embedding_gates_per_weight": 0.45},
    "room": {"utilisation": 0.75} | {f"{style}_utilisation": 0.75 for style in PRICED_STYLES},
    "trained": {f"{style}_trained": 1.0 for style in PRICED_STYLES},
    "library": {"gate_um2": 0.0289, "unit_library": 1.0} | {f"{style}_library": 1.0 for style in PRICED_STYLES},
}
"""What the assumptions of each line of the headline's table were before it was counted, from the last line up."""


def test_what_was_counted_line_by_line():
    found = estimate(*read_model("llada-moe-7b", None), Request())
    a, rows = found.assumptions, rows_of("| what is counted |")
    for former, (_, projected, area, emitted, emitted_area) in zip([{}, *FORMER.values()], rows[::-1], strict=True):
        for name, value in former.items():
            a = a.at(name, value)
        chips = figures(found.shape, found.request, a, None)
        for chip, mm2, um2 in ((chips.chip, projected, area), (chips.emitted, emitted, emitted_area)):
            assert chip is not None and says(mm2, chip.area) and says(um2, 1e6 * chip.area / found.shape.parameters)
    assert says(rows[-1][1], found.chip.area)


def asked(head: str, page: str = PAGE) -> Iterator[tuple[str, list[str]]]:
    """The options that each row of a table names, and its other cells; "the same" is the last row that does not say it.

    Rows that name none are those without options.
    """
    first = ""
    for what, *cells in rows_of(head, page):
        given = " ".join(re.findall(r"`(--[^`]*)`", what))
        if "the same" not in what:
            first = given
        yield (f"{first} {given}" if "the same" in what else given), cells


def each_row(head: str, like: str) -> Iterator[Any]:
    """Parameters of a test: options and cells of the rows of a table, but for those that `hardloom explore` finds."""
    for (options, cells), (what, *_) in zip(asked(head), rows_of(head), strict=True):
        if "`hardloom explore`" not in what:
            slow = [pytest.mark.slow] if any(text in options for text in SLOW) else []
            yield pytest.param(f"--like {like} {options}", cells, id=f"{like} {options}", marks=slow)


@pytest.mark.parametrize(
    ("options", "cells"),
    [
        *each_row("| emitted, LLaDA-MoE-7B, 256 positions", "llada-moe-7b"),
        *each_row("| emitted, LLaDA2.0-mini", "llada2.0-mini"),
    ],
)
def test_emitted_chips(options: str, cells: list[str]):
    values = chip_cells(estimated(*options.split()), "emitted")
    assert all(says(cell, *value) for cell, value in zip(cells, values, strict=True)), (cells, values)


def test_the_projection_beside_hnlpu():
    found = estimated("--like", "llada-moe-7b")
    area, bars = found["area_um2_per_parameter"], found["error_bars"]
    published = 13232e6 / 116_829_156_672
    dies, parameter, speed, joule = rows_of("| projected, `hardloom estimate --like llada-moe-7b`")
    assert says(dies[1], found["dies"], found["area_mm2"])
    assert says(parameter[1], area, area / published) and says(parameter[2], *bars["area_um2_per_parameter"])
    assert says(parameter[3], published)
    assert says(speed[1], found["tokens_per_s"]) and says(speed[2], *bars["tokens_per_s"])
    assert says(joule[1], found["tokens_per_joule"]) and says(joule[2], *bars["tokens_per_joule"])


def test_sequences_of_other_lengths():
    """Half of each is the prompt."""
    emitted, projected, area = (cells for _, *cells in rows_of("| positions | 64 "))
    for column, positions in enumerate((64, 128, 256, 512, 1024)):
        half = str(positions // 2)
        found = estimated("--like", "llada-moe-7b", "--prompt-length", half, "--gen-length", half)
        assert says(emitted[column], found["emitted"]["tokens_per_s"])
        assert says(projected[column], found["projected"]["tokens_per_s"])
        assert says(area[column], found["area_um2_per_parameter"])
    text = " ".join(PAGE.split())
    ((longer, slow),) = re.findall(r"times 4\.29: 90 at 256 positions, (\d+) at 384, ([\d.]+) at 1,152\.", text)
    for cell, prompt in ((longer, "256"), (slow, "1024")):
        found = estimated("--like", "llada-moe-7b", "--prompt-length", prompt, "--gen-length", "128")
        assert says(cell, found["emitted"]["tokens_per_s"])


def test_the_arrays_that_are_named():
    """Style, slices and gates a weight of experts; the ends of the range of what serves every position."""
    text = " ".join(PAGE[PAGE.index("The experts' gate and up are") :].split())
    choices = {choice["kind"]: choice for choice in estimated("--like", "llada-moe-7b")["array_choices"]}

    def named(choice: Any) -> str:
        return f"`{choice['style']}` of {choice['slices']} slices ({choice['gates_per_weight']:.2f} gates a weight)"

    assert text.startswith(f"The experts' gate and up are {named(choices['gate_up'])}, down {named(choices['down'])};")
    others = [choice for kind, choice in choices.items() if kind not in ("gate_up", "down")]
    gates, slices = ([choice[name] for choice in others] for name in ("gates_per_weight", "slices"))
    assert {choice["style"] for choice in others} == {"packed", "metal"} and {*slices} == {2}
    assert f"is `packed` and `metal` of 2 slices ({min(gates):.1f} to {max(gates):.1f} gates a weight)" in text


@pytest.mark.parametrize(("options", "cells"), [*each_row("| LLaDA-MoE-7B at 5 nm | dies | mm2", "llada-moe-7b")])
def test_other_choices(options: str, cells: list[str]):
    found = estimated(*options.split())
    values = found["dies"], found["area_mm2"], found["area_um2_per_parameter"], found["tokens_per_s"]
    assert all(says(cell, value) for cell, value in zip(cells, values, strict=True)), (cells, values)


def test_every_node():
    for node, *cells in rows_of("| LLaDA-MoE-7B | dies |"):
        found = estimated("--like", "llada-moe-7b", "--node", node)
        values = [(found[name],) for name in ("dies", "area_mm2", "tokens_per_s", "tokens_per_joule")]
        values += [(found["nre_usd_low"] / 1e6, found["nre_usd_high"] / 1e6), (found["usd_per_million_tokens"],)]
        values += [(1000 * found["kg_per_million_tokens"],)]
        assert all(says(cell, *value) for cell, value in zip(cells, values, strict=True)), (cells, values)


def compared() -> Any:
    return json.loads(hardloom("estimate", "--compare", "--json").out)


def test_hnlpu_is_reproduced_as_printed():
    rows = rows_of("| figure | published | this model | error |")
    for (_, published, ours, error), line in zip(rows, compared()["reproduction"], strict=True):
        assert says(published, line["published"]) and says(ours, line["reproduced"])
        assert error == f"{100 * line['error']:+.1f} %"


def test_systems_are_compared_as_printed():
    for cells, row in zip(rows_of("| system | model |"), compared()["systems"], strict=True):
        assert cells[:5] == [row["name"], row["model"], row["node"], str(row["dies"] or ""), row["evidence"]]
        for cell, column in zip(cells[5:], COLUMNS, strict=True):
            if column in row["figures"]:
                assert cell.endswith(row["marks"][column][0]) and says(cell, row["figures"][column]), (cells, row)
            else:
                assert cell == ""


ENTRANCE = [
    ("LLaDA-MoE-7B, 256 positions recomputed", "emitted", "--like llada-moe-7b --queues packets=1,results=1"),
    (
        "the same, `--head-lanes 16 --query-lanes 2",
        "emitted",
        "--like llada-moe-7b --head-lanes 16 --query-lanes 2 --expert-groups 4 --sequences 18 "
        "--queues packets=1,results=1",
    ),
    ("the same", "projected", "--like llada-moe-7b"),
    ("the same", "projected", "--like llada2.0-mini"),
    ("LLaDA2.0-flash", "projected", "--like llada2.0-flash"),
]


def test_the_table_of_the_entrance_page():
    rows = [row for row in rows_of("| model | | dies |", PAGES["README.md"]) if "published" not in row[1]]
    rows = [row for row in rows if "hardloom explore" not in row[0] and "likewise" not in row[0]]
    for (what, chip, *cells), (begins, expected, options) in zip(rows, ENTRANCE, strict=True):
        assert what.startswith(begins) and chip == expected
        found = estimated(*options.split())
        values = found[chip]
        area = values["area_mm2"]
        figures = values["dies"], area, 1e6 * area / found["parameters"], values["tokens_per_s"]
        figures = *figures, values["tokens_per_joule"]
        assert all(says(cell, value) for cell, value in zip(cells, figures, strict=True)), (cells, figures)


def test_what_explore_finds_is_said_alike_on_every_page():
    """Running it takes a minute: `test_what_explore_finds`."""
    table = {row[0]: row for row in rows_of("| LLaDA-MoE-7B, 5 nm, 256 positions |", PAGES["docs/explore.md"])}
    large, mini = (next(row for what, row in table.items() if text in what) for text in ("--sequences 40", "mini"))
    for row, head, parameters in (
        (large, "| emitted, LLaDA-MoE", 7356880896),
        (mini, "| emitted, LLaDA2.0", 16255643392),
    ):
        (found,) = (cells for what, *cells in rows_of(head) if "`hardloom explore`" in what)
        assert found[:2] == [row[3], row[1]]
        area = 1e6 * int(row[3].replace(",", "")) / parameters
        assert f"| {row[3]} | {area:.3f} | {row[1]} |" in PAGES["README.md"]


@pytest.mark.slow
@pytest.mark.parametrize(("options", "cells"), [*asked(EXPLORED, PAGES["docs/explore.md"])])
def test_what_explore_finds(options: str, cells: list[str]):
    like = "" if "--like" in options else "--like llada-moe-7b"
    chosen = json.loads(hardloom("explore", *f"{like} {options} --json".split()).out)["chosen"]
    figures = chosen["emitted"], chosen["projected"], chosen["area_mm2_total"]
    assert all(says(cell, value) for cell, value in zip(cells[:3], figures, strict=True)), (cells, figures)
    assert cells[3] == chosen["bottleneck"]
