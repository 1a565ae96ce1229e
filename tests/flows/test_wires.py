"""Wires of arrays, counted from plans as they are emitted."""

import re
from math import sqrt

import pytest

from hardloom.flows.design.cost.quantities import count
from hardloom.flows.design.cost.wires import Wires, wires_of
from hardloom.flows.synth.arrays import normal_matrix, plan_matrix
from hardloom.gen.arrays import emit


def wires(style: str, rows: int, inputs: int, slices: int) -> Wires:
    return wires_of(style, slices, count(plan_matrix(normal_matrix(rows, inputs), style, slices, 8)), 1.0)


@pytest.mark.parametrize("style, slices", [("metal", 4), ("packed", 16)])
def test_every_weight_of_a_cell_taps_one_of_a_pair_of_lines_an_input_and_turn(style, slices):
    plan = plan_matrix(normal_matrix(64, 128), style, slices, 8)
    found = wires(style, 64, 128, slices)
    assert found.lines == 2 * 128 * plan.form.fold and found.taps == 64 * 128


def test_lines_and_taps_of_rom_are_those_of_its_text():
    plan = plan_matrix(normal_matrix(16, 64), "rom", 64, 8)
    found = wires("rom", 16, 64, 64)
    text = emit(plan)[1][f"{plan.name}.v"].decode()
    units = text[text.index("_mac_f") :]
    assert found.lines == 64 and found.taps == len(re.findall(r"\ba\d+\b", units))


def test_lines_and_taps_of_shared_are_those_of_its_plan():
    plan = plan_matrix(normal_matrix(64, 256), "shared", 256, 8)
    found = wires("shared", 64, 256, 256)
    planes = 8 * plan.form.planes
    assert found.lines == sum(1 << size for size in plan.form.groups)
    assert found.taps == pytest.approx(planes * sum(1 - 0.5**size for size in plan.form.groups))
    assert found.crossings == planes * 1.5  # three levels of gates of four inputs for 43 groups


def test_wires_of_a_tile_have_the_shorter_of_two_lengths():
    scattered, ordered = Wires(100, 10, 1000, 0.3, 5), Wires(100, 1e6, 4, 0.3, 5)
    assert scattered.length == 0.3 * sqrt(1000) + 5 and ordered.length == 2 * 20 + 5
