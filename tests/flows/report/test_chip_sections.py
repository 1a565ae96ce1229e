"""The chip: wires are the checkpoint's weights, checks are told as they were recorded, times are the model's."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from hardloom.flows.chips.outcomes import Outcome, junit
from hardloom.flows.pictures.wiring import read_wiring
from hardloom.flows.report.proof import proof, recorded
from hardloom.flows.report.subject import Subject
from hardloom.flows.report.wiring import wires_of
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from tests.command_line import hardloom

DOWN = "wired_layer_0_expert_0_down"


def weights_of(build: Build, layer: int, expert: int) -> np.ndarray:
    checkpoint = build.checkpoint()
    return checkpoint.integers(checkpoint.model.tensor("down_proj", layer, expert).name).weights.numpy()


def test_wires_of_every_neuron_add_up_to_the_weights_of_the_checkpoint(chip_build):
    wiring, weights = read_wiring(chip_build, DOWN), weights_of(chip_build, 0, 0)
    found = np.zeros_like(weights)
    for neuron in range(len(weights)):
        for wire in wires_of(wiring, neuron):
            found[neuron, wire.input] += wire.value
    assert np.array_equal(found, weights) and weights.any()


def test_the_page_draws_the_wires_of_the_neuron_that_was_asked_for(section, chip_build):
    sums = np.zeros(16, dtype=int)
    drawn = [*section("wiring").all("path")]
    for path in drawn:
        number, value = re.fullmatch(r"input (\d+), (-?\d+)", path.text).groups()
        sums[int(number)] += int(value)
        assert ("stroke-dasharray" in path.attributes) == value.startswith("-")
    assert np.array_equal(sums, weights_of(chip_build, 0, 0)[5]) and len(drawn) > 3


def states(build: Path) -> dict[str, str]:
    return {row.name: row.state for row in proof(Subject.of(build), verify=False).held["rows"]}


def test_weights_that_were_read_back_for_the_page_are_told(section, chip_build):
    rows = {row[0]: row for row in section("proof").rows()}
    total = f"{chip_build.manifest.weights_hardwired:,}"
    assert rows["Weights read back"][1].startswith(f"passed{total} of {total} weights")
    assert rows["Chip in simulation"][1].startswith("not recorded")


@pytest.fixture
def build(chip_build: Build, tmp_path: Path) -> Path:
    return shutil.copytree(chip_build.path, tmp_path / "build")


def write_record(build: Path, *outcomes: Outcome, manifest: str | None = None) -> None:
    (build / "verify.xml").write_bytes(junit(outcomes, manifest or sha256(build / MANIFEST)))


def test_checks_are_told_as_they_were_recorded(build):
    assert set(states(build).values()) == {"not recorded"}
    good, bad = Outcome("chip", "a prompt", 1.0, "", None), Outcome("units", "rope", 1.0, "", "3 integers differ")
    write_record(build, good, bad)
    told = states(build)
    assert told["Chip in simulation"] == "passed" and told["Units in simulation"] == "failed"
    assert told["Tiles at real width"] == told["Weights read back"] == "not recorded"
    assert recorded(build)["units"][1] == "0 of 1 tests of verify.xml passed; first failure: 3 integers differ"
    write_record(build, Outcome("tile, verilator", "o", 1.0, "", None), Outcome("expert", "e", 1.0, "", None))
    assert states(build)["Tiles at real width"] == "passed" and states(build)["Chip in simulation"] == "not recorded"


def test_a_record_of_another_build_proves_nothing(build):
    write_record(build, Outcome("chip", "a prompt", 1.0, "", None), manifest="0" * 64)
    assert states(build)["Chip in simulation"] == "of another build"


def test_a_record_that_is_none_is_one_sentence_and_no_page(build, tmp_path):
    (build / "verify.xml").write_text("<testsuite>")
    with pytest.raises(UserError, match=r"verify\.xml: is no JUnit XML"):
        recorded(build)
    ran = hardloom("report", build, "-o", tmp_path / "report.html", "--prompt-tokens", "3")
    assert ran.code == 1 and len(ran.err.strip().splitlines()) == 1 and not (tmp_path / "report.html").exists()


def test_text_that_is_not_the_manifest_s_makes_no_page(build, tmp_path):
    path = build / f"rtl/arrays/{DOWN}.v"
    path.write_text(path.read_text() + "\n")
    ran = hardloom("report", build, "-o", tmp_path / "report.html", "--prompt-tokens", "3")
    assert ran.code == 1 and f"{path}: differs from manifest.json" in ran.err
    assert not (tmp_path / "report.html").exists()


def test_figures_of_the_estimate_are_those_of_the_command(section, chip_build):
    ran = hardloom("estimate", chip_build.path / "quantized", "--json")
    found, (table, *_) = json.loads(ran.out), section("estimate").all("table")
    for row, name in zip(table.rows()[1:], ("emitted", "projected"), strict=True):
        assert row[0] == name and row[3] == f"{found[name]['tokens_per_s']:,.0f}"
        assert row[4] == " to ".join(f"{end:,.0f}" for end in found["error_bars"][TIMES[name]])
    bars = [one.text for one in section("estimate").all("title")]
    assert len(bars) > 10 and all(bar.split()[0] in section("estimate").text for bar in bars)


TIMES = {"emitted": "emitted_tokens_per_s", "projected": "tokens_per_s"}


def test_accuracy_is_what_the_quantized_checkpoint_recorded(section, chip_build):
    held = chip_build.checkpoint()
    names = [held.model.tensor("down_proj", layer, expert).name for layer in range(2) for expert in range(3)]
    ratios = [held.quantization["matrices"][name]["snr_db"] for name in names]
    rows = {row[0]: row for row in section("rounding").rows()}
    assert rows["down"][1:5] == ["mxfp6_e2m3", "6", f"{min(ratios):.2f}", f"{sum(ratios) / 6:.2f}"]
    assert [*rows][1:] == ["embedding", *"qkvo", "router", "gate", "up", "down", "head"]
