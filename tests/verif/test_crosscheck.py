"""The second reader: pyverilog's reading of single cells is the checkpoint, in every style, and a wrong wire is not."""

import random
import re
from pathlib import Path

import numpy as np
import pytest

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.build.names import connection_file
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.crosscheck import cells
from hardloom.verif.crosscheck.array_text import ArrayText
from hardloom.verif.crosscheck.cells import READERS
from hardloom.verif.crosscheck.sample import Sample, choose_samples, crosscheck
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.mac import read_mac
from hardloom.verif.extract.neuron import read_neuron
from hardloom.verif.faults.wires import change_wire
from hardloom.verif.proof.static import SAMPLE, recover
from tests.matrices import exactly, noise, one_large_row


def plan_of(style: str, format: str, rows: int, inputs: int, slices: int, banks: int = 1) -> ArrayPlan:
    return plan_array("a", [noise(format, rows, inputs, seed) for seed in range(banks)], 4, slices, style, format)


PLANS = {
    "metal": plan_of("metal", "mxfp4", 6, 64, 1, banks=2),
    "metal, slices": plan_of("metal", "int4", 7, 48, 2),
    "metal, turns": plan_of("metal", "mxfp4", 22, 48, 6),
    "metal, ternary": plan_of("metal", "ternary", 3, 32, 1),
    "metal, spilled": plan_array("a", [exactly(np.full((2, 16), -11))], 4, 2, "metal", "mxfp4"),
    "packed": plan_of("packed", "int4", 16, 32, 8),
    "packed, two kinds": plan_array("a", [one_large_row(24, 32)], 4, 2, "packed", "mxfp4"),
    "rom": plan_of("rom", "mxfp4", 20, 32, 32, banks=2),
    "rom, two inputs a cycle": plan_of("rom", "ternary", 9, 32, 16),
    "shared": plan_of("shared", "mxfp4", 20, 32, 32, banks=2),
    "shared, four inputs a cycle": plan_of("shared", "int4", 10, 48, 12),
    "cell": plan_of("cell", "mxfp4", 6, 32, 1, banks=2),
}


def text_of(plan: ArrayPlan) -> ArrayText:
    prefab, connections = emit(plan)
    return ArrayText(connections["a.v"], prefab, plan.inputs, plan.lanes, plan.slices, 8)


CELL = re.compile(r"^(?!shell)(?!.*chain moved)")
"""Of a fault in words: that it is inside a cell."""


def wrong_wire(array: ArrayText, rng: random.Random) -> tuple[bytes, str]:
    """An array's text with one wire changed, and what was done."""
    prefab = array.prefab
    return change_wire(
        array.text, lambda name: read_neuron(prefab[f"{name}.v"]), lambda name: read_mac(prefab[f"{name}.v"]), rng
    )


def read_whole(plan: ArrayPlan, array: ArrayText) -> np.ndarray:
    """Weights of an array [banks, rows, inputs], cell by cell; neurons behind the last row must have none."""
    weights = np.zeros((plan.banks, plan.rows, plan.inputs), dtype=np.int64)
    for bank, row in np.ndindex(plan.banks, plan.rows):
        cell = READERS[plan.style.name](array, bank, row)
        assert row in cell.rows
        inside = cell.rows < plan.rows
        weights[bank, cell.rows[inside]] = cell.weights[inside]
        assert not cell.weights[~inside].any()
    return weights


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_cell_of_every_style_is_read(plan: ArrayPlan) -> None:
    assert np.array_equal(read_whole(plan, text_of(plan)), np.stack(plan.matrices))


@pytest.mark.parametrize("style", STYLES)
def test_the_last_cell_is_found_in_a_text_that_comes_in_pieces_and_little_is_held(style: str) -> None:
    plan = plan_of(style, "mxfp4", 64, 64, STYLES[style].small_slices(64))
    text, prefab = text_of(plan).text, text_of(plan).prefab
    pieces = (text[start : start + 100] for start in range(0, len(text), 100))
    array = ArrayText(b"", prefab, 64, 4, plan.slices, 8, pieces)
    cell = READERS[style](array, 0, 63)
    assert np.array_equal(cell.weights[cell.rows == 63][0], plan.matrices[0][63])
    assert len(array.text) < len(text)


def test_of_a_cell_of_many_turns_the_neuron_that_is_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of("metal", "mxfp4", 64, 64, 32)
    assert plan.form.fold > 2
    monkeypatch.setattr(cells, "FEEDS_READ", 2 * 64)
    for row in range(64):
        cell = READERS["metal"](text_of(plan), 0, row)
        assert row in cell.rows and len(cell.rows) == 2
        assert np.array_equal(cell.weights, plan.matrices[0][cell.rows])


@pytest.mark.parametrize("style", STYLES)
def test_any_planted_wrong_wire_is_seen(style: str) -> None:
    plan, rng = plan_of(style, "mxfp4", 8, 16, STYLES[style].small_slices(16)), random.Random(5)
    array, expected = text_of(plan), np.stack(plan.matrices)
    for _ in range(40):
        changed, what = wrong_wire(array, rng)
        if not CELL.search(what):
            continue
        try:
            assert not np.array_equal(
                read_whole(plan, ArrayText(changed, array.prefab, 16, 4, plan.slices, 8)), expected
            )
        except ExtractionError:
            assert changed != array.text


@pytest.mark.parametrize("style", STYLES)
def test_text_that_is_no_array_is_an_error_and_nothing_worse(style: str) -> None:
    plan, rng = plan_of(style, "mxfp4", 3, 16, STYLES[style].small_slices(16)), random.Random(6)
    array, errors = text_of(plan), 0
    for _ in range(150):
        place = rng.randrange(array.text.index(b"    wire"), len(array.text))
        changed = array.text[:place] + bytes([rng.choice(b"0123456789pnxag,;()'b+-<[]{}|&")]) + array.text[place + 1 :]
        try:
            READERS[style](ArrayText(changed, array.prefab, 16, 4, plan.slices, 8), 0, 1)
        except ExtractionError:
            errors += 1
    assert errors > 10


def test_a_number_that_its_bits_do_not_hold_is_an_error() -> None:
    plan = plan_of("metal", "mxfp4", 3, 16, 4)
    array = text_of(plan)
    changed, count = re.subn(rb"\b(\d+)'([bd])[01]+\b", rb"\1'd36893488147419103232", array.text)
    assert count
    with pytest.raises(ExtractionError, match="more than its"):
        READERS["metal"](ArrayText(changed, array.prefab, 16, 4, plan.slices, 8), 0, 1)


STYLE_OF_KIND = {"qkv": "packed", "o": "metal", "router": "cell", "gate_up": "rom", "down": "shared", "head": "metal"}
SLICES_OF_KIND = {"qkv": 4, "o": 2, "router": 1, "gate_up": 16, "down": 8, "head": 2}


@pytest.fixture(scope="module")
def mixed(tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Arrays of every style."""
    changes = {"style": STYLE_OF_KIND, "slices": SLICES_OF_KIND}
    hardware = HardwareConfig.from_json_dict(tiny_hardware.to_json_dict() | changes)
    checkpoint, folder = QuantizedCheckpoint(tiny_quantized[0]), tmp_path_factory.mktemp("mixed") / "parts"
    return build_arrays(checkpoint, folder, hardware, Selection(layers=(0,)))


def test_every_style_and_kind_of_a_build_is_sampled_the_same_each_time(mixed: Build) -> None:
    samples = choose_samples(mixed)
    assert {(sample.facts.style, sample.facts.kind) for sample in samples} == {
        (facts.style, facts.kind) for facts in mixed.arrays
    }
    assert {sample.facts.style for sample in samples} == set(STYLES)
    assert samples == choose_samples(mixed) != choose_samples(mixed, seed=1)


def test_the_sample_of_a_sound_build_is_the_checkpoint(mixed: Build) -> None:
    calls = list[tuple[int, int]]()
    recovery = recover(mixed, lambda done, total: calls.append((done, total)))
    assert recovery.complete, recovery.first
    done, work = [done for done, _ in calls], mixed.manifest.weights_hardwired + SAMPLE * len(choose_samples(mixed))
    assert done == sorted(done) and done.count(work) == 1 and {total for _, total in calls} == {work} == {done[-1]}
    assert recovery.matching_sampled == recovery.sampled >= sum(sample.facts.inputs for sample in choose_samples(mixed))


@pytest.mark.parametrize("style", STYLES)
def test_a_wrong_wire_in_a_sampled_cell_is_reported(mixed: Build, style: str) -> None:
    sample = next(sample for sample in choose_samples(mixed) if sample.facts.style == style)
    name = connection_file(sample.facts.module)
    path, hash_ = mixed.path / name, mixed.files[name]
    text = path.read_bytes()
    prefab = {Path(file).name: mixed.file(file).read_text() for file in mixed.files if file.startswith("rtl/prefab/")}
    array = ArrayText(text, prefab, sample.facts.inputs, mixed.hardware.lanes, sample.facts.slices, 8)
    try:
        path.write_bytes(damaged(text, sample, array))
        mixed.files[name] = sha256(path)
        found = crosscheck(mixed)
        assert found.matching < found.weights
        assert found.first is not None and name in found.first
        assert not recover(mixed).complete
    finally:
        path.write_bytes(text)
        mixed.files[name] = hash_


def damaged(text: bytes, sample: Sample, array: ArrayText) -> bytes:
    """An array's text with one wire, or one term, of the sampled cell changed."""
    if sample.facts.style == "cell":
        start = text.index(f" else a_{sample.bank}_{sample.row} <=".encode())
        place = text.index(b" + ", start) + 1
        return text[:place] + b"-" + text[place + 1 :]
    turns = len(READERS[sample.facts.style](array, sample.bank, sample.row).rows)
    number = sample.row // (turns * array.lanes) * array.lanes + sample.row % array.lanes
    for seed in range(1000):
        changed, what = wrong_wire(array, random.Random(seed))
        if what.startswith((f"neuron_{sample.bank}_{number}: ", f"mac_{sample.bank}_{number}: ")) and CELL.search(what):
            return changed
    raise AssertionError("no wire of the cell was changed")
