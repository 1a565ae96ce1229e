"""The table view of an array passes the bench of the wiring view, with the weights that are read back from it."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.verif.arrays.bench import write_bench
from hardloom.verif.arrays.table_view import TABLES, TableView, table_views, write_weights
from hardloom.verif.extract.arrays import read_array
from hardloom.verif.simulators.runner import build_and_test
from hardloom.verif.simulators.verilator import QUICK_BUILD
from hardloom.verif.streams.bench import BENCH
from tests.matrices import noise


def plan_of(name: str, format: str, rows: int, inputs: int, banks: int, lanes: int, slices: int) -> ArrayPlan:
    matrices = [noise(format, rows, inputs, seed) for seed in range(banks)]
    return plan_array(name, matrices, lanes, slices, "metal", format)


PLANS = [
    plan_of("two_banks", "mxfp4", 8, 64, 2, 8, 2),
    plan_of("odd_rows", "int4", 10, 48, 1, 4, 2),
    plan_of("fewer_rows_than_lanes", "ternary", 3, 32, 1, 8, 8),
]


def as_tables(folder: Path, plans: list[ArrayPlan]) -> Path:
    """One file of the table views of `plans`, made from their emitted text."""
    views = {}
    for plan in plans:
        weights = read_array(emit(plan).connections[f"{plan.name}.v"], emit(plan).prefab)
        write_weights(folder / f"{plan.name}.bin", weights)
        views[plan.name] = TableView(*weights.shape, plan.lanes, plan.slices, plan.acc_width, plan.activation)
    path = folder / "tables.v"
    path.write_text(emit(PLANS[0]).prefab["hardloom_clock_gate.v"] + table_views(views))
    return path


def test_sums_cycles_backpressure_and_reset_are_those_of_the_wiring_view(tmp_path: Path) -> None:
    _, job = write_bench(PLANS, tmp_path, packets=10)
    sources = [TABLES, as_tables(tmp_path, PLANS), tmp_path / f"{BENCH}.v"]
    assert (
        build_and_test(sources, BENCH, "hardloom.verif.arrays.tests", tmp_path, job.hand_over(tmp_path), QUICK_BUILD)
        == 0
    )


def test_a_changed_wire_changes_the_table(tmp_path: Path) -> None:
    plan = PLANS[1]
    prefab, connections = emit(plan)
    text = connections["odd_rows.v"]
    place = text.index(b"p5,", text.index(b" neuron_0_4 "))
    changed = text[:place] + b"n5," + text[place + 3 :]
    for name, wired in (("before.bin", text), ("after.bin", changed)):
        write_weights(tmp_path / name, read_array(wired, prefab))
    before, after = (np.fromfile(tmp_path / name, dtype="<i2") for name in ("before.bin", "after.bin"))
    assert (before != after).sum() == 1


@pytest.mark.parametrize("most, bits", [(32767, 16), (32768, 32)])
def test_weights_take_sixteen_bits_where_they_suffice(most: int, bits: int, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights.bin", np.array([[[-most - 1, most]]], dtype=np.int32))
    assert np.fromfile(tmp_path / "weights.bin", dtype=f"<i{bits // 8}").tolist() == [-most - 1, most]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """What a table view calls, by itself."""
    library = tmp_path_factory.mktemp("tables") / "tables.so"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", str(library), str(TABLES)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.hardloom_table_sum.restype = ctypes.c_longlong
    return loaded


@pytest.mark.parametrize("most", [32767, 1 << 30])
def test_products_are_exact_at_the_largest_magnitudes(most: int, tables: ctypes.CDLL, tmp_path: Path) -> None:
    banks, rows, inputs = 2, 3, 71
    rng = np.random.default_rng(most)
    weights = rng.choice([-most - 1, -most, 0, 1, most], (banks, rows, inputs))
    weights[0, 0], x = -most - 1, rng.choice([-2047, 0, 5, 2047], inputs)
    x[:64] = -2047
    write_weights(tmp_path / "table.bin", weights)
    number = tables.hardloom_table_open(str(tmp_path / "table.bin").encode(), banks, rows, inputs)
    for place, value in enumerate(x.tolist()):
        tables.hardloom_table_input(number, place, value)
    tables.hardloom_table_multiply(number)
    sums = [[tables.hardloom_table_sum(number, bank, row) for row in range(rows + 1)] for bank in range(banks)]
    assert sums == [[*(bank @ x).tolist(), 0] for bank in weights], "a row behind the last one is zero"
