"""Times of units: the cycle model's, and beside them what the simulated chip does, packet by packet."""

import re

import numpy as np

from hardloom.flows.bench.cycles import Routed, sequence_run
from hardloom.flows.bench.timeline import measured_times
from hardloom.flows.design.cycles.built import built_geometry
from hardloom.flows.design.cycles.sequences import run_cycles
from hardloom.flows.report.axes import LinearAxis
from hardloom.flows.report.page import page as page_of
from hardloom.flows.report.run import golden_run
from hardloom.flows.report.subject import Subject
from hardloom.flows.report.timeline import modelled_rows, timeline
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.verif.chip.simulation import Run
from tests import DEMO
from tests.command_line import hardloom
from tests.flows.report.conftest import PROMPT, SAMPLING
from tests.flows.report.markup import read_page


def test_times_are_those_of_the_cycle_model(section, chip_build):
    checkpoint = chip_build.checkpoint()
    run = sequence_run(chip_build, Routed(IntegerModel(checkpoint), checkpoint.model), PROMPT, SAMPLING)
    rows = modelled_rows(chip_build, run.passes[0])
    drawn = {one.text.split(":")[0]: one.text for one in section("timeline").all("title")}
    assert len(drawn) == len(rows) > 12
    for row in rows:
        assert drawn[row.name] == f"{row.name}: modelled {row.modelled[0]:,.0f} to {row.modelled[-1]:,.0f}"
    cycles = max(row.last for row in rows)
    assert f"takes {cycles:,.0f} cycles" in section("timeline").text
    whole = run_cycles(built_geometry(chip_build, checkpoint), [run], [0])[0]
    assert cycles * len(run.passes) < whole


def test_measured_times_are_those_of_the_simulated_chip(tiny_build, tiny_chip):
    """Every packet of every probe point, counted from the first that leaves the embedding."""
    subject = Subject.of(tiny_build.path)
    run = golden_run(subject, PROMPT, SAMPLING)
    held = timeline(subject, run, tiny_chip).held
    times = measured_times(tiny_chip, Run(PROMPT, SAMPLING), run.first)
    start, axis = times["embedding"][0, 1], LinearAxis(held["cycles"], held["width"])
    assert held["measured"] and [row.name for row, _ in held["rows"]] == [*times] and len(times) > 30
    for row, bars in held["rows"]:
        cycles = times[row.name][:, 1] - start
        assert np.array_equal(row.measured, cycles) and (np.diff(cycles) > 0).all()
        assert bars[0].places == [axis.place(cycle) for cycle in cycles] and bars[0].name == "measured"
    modelled = {row.name: row.modelled for row in modelled_rows(tiny_build, run.first)}
    both = [(row, bars) for row, bars in held["rows"] if len(bars) == 2]
    assert {row.name for row, _ in both} == {*modelled}
    layers = [row for row, _ in both if re.fullmatch(r"layer\.\d\.(o|moe|residual)", row.name)]
    assert len(layers) == 6 and all(np.abs(row.measured - modelled[row.name]).max() <= 8 for row in layers)


def test_a_point_is_drawn_twice_and_its_cycles_are_told(tiny_build, tiny_chip):
    subject = Subject.of(tiny_build.path)
    section = timeline(subject, golden_run(subject, PROMPT, SAMPLING), tiny_chip)
    found = read_page(page_of("a chip", [section]))
    (row,) = [row for row, _ in section.held["rows"] if row.name == "layer.1.moe"]
    told = f"measured {row.measured[0]:,} to {row.measured[-1]:,}, modelled"
    assert [one for one in found.all("title") if one.text.startswith(f"layer.1.moe: {told}")]
    (cells,) = [cells for cells in found.rows() if cells[0] == "layer.1.moe"]
    assert cells[1:4] == [str(len(row.measured)), f"{row.measured[0]:,}", f"{row.measured[-1]:,}"]
    assert cells[6] == f"{np.abs(row.measured - row.modelled).max():,.0f}"
    assert "the simulated chip above" in found.text and "not measured" not in found.text


def test_a_checkpoint_has_no_chip_to_simulate(tmp_path):
    ran = hardloom("report", DEMO, "-o", tmp_path / "report.html", "--simulate")
    assert ran.code == 1 and ran.err.startswith("error: --simulate: this is a checkpoint")
    assert not [*tmp_path.iterdir()]
