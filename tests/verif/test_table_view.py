"""The table view of an array passes the bench of the wiring view, with the weights that are read back from it."""

from pathlib import Path

import numpy as np
import pytest

from gen.arrays import ArrayPlan, emit, plan_array
from tests.matrices import noise
from verif.arrays.bench import bench_arrays
from verif.arrays.table_view import hexadecimal, write_table_view
from verif.extract.arrays import read_array


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
    texts = [emit(PLANS[0]).prefab["hardloom_clock_gate.v"]]
    for plan in plans:
        weights = read_array(emit(plan).connections[f"{plan.name}.v"], emit(plan).prefab)
        text, _ = write_table_view(folder, plan.name, weights, plan.lanes, plan.slices, plan.acc_width, plan.activation)
        texts.append(text.read_text())
    path = folder / "tables.v"
    path.write_text("\n".join(texts))
    return path


def test_sums_cycles_backpressure_and_reset_are_those_of_the_wiring_view(tmp_path: Path) -> None:
    assert bench_arrays(PLANS, tmp_path, packets=10, mapped=lambda files: (as_tables(tmp_path, PLANS), [])) == 0


def test_a_changed_wire_changes_the_table(tmp_path: Path) -> None:
    plan = PLANS[1]
    prefab, connections = emit(plan)
    text = connections["odd_rows.v"]
    place = text.index(b"p5,", text.index(b" neuron_0_4 "))
    changed = text[:place] + b"n5," + text[place + 3 :]
    tables = [
        write_table_view(tmp_path, plan.name, read_array(t, prefab), 4, 2, plan.acc_width, plan.activation)[
            1
        ].read_bytes()
        for t in (text, changed)
    ]
    assert sum(a != b for a, b in zip(*(t.split() for t in tables), strict=True)) == 1


@pytest.mark.parametrize("bits", [1, 4, 5, 17])
def test_hexadecimal_is_twos_complement(bits: int) -> None:
    values = np.array([0, -1, -(1 << (bits - 1)), (1 << (bits - 1)) - 1])
    lines = [int(line, 16) for line in hexadecimal(values, bits).split()]
    assert lines == [value % (1 << bits) for value in values.tolist()]
    assert {len(line) for line in hexadecimal(values, bits).split()} == {-(-bits // 4)}
