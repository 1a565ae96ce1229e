"""Wires of arrays: counted from plans as they are emitted, and what they make of an array's area and of its form."""

import re
from math import sqrt

import numpy as np
import pytest

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cost.quantities import count
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.flows.design.cost.wires import Wires, wires_of
from hardloom.flows.design.estimate.arrays import PRICED_STYLES, ArrayOption, UnitCost, array_assumptions
from hardloom.flows.design.estimate.choices import array_mm2
from hardloom.flows.design.estimate.figures import estimate, read_model
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.wires import gate_um2, gates_scale, track_share, unit_um2
from hardloom.flows.synth.arrays import normal_matrix, plan_matrix
from hardloom.gen.arrays import emit
from hardloom.gen.arrays.shared_form import CROSSING, MERGE


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


def test_a_group_is_as_large_as_wires_allow():
    """Ever more rows pay for ever more subsets, but their lines have to cross the planes."""
    sizes = [plan_matrix(normal_matrix(rows, 512), "shared", 512, 8).form.group for rows in (64, 512, 2048)]
    assert sizes == [5, 6, 6]
    assert CROSSING * 2**7 > MERGE


@pytest.mark.parametrize("style", PRICED_STYLES)
def test_an_array_has_the_area_of_its_cells_or_of_its_wires(style):
    a = Assumptions.of("5nm")
    a.entries |= array_assumptions()
    option = ArrayOption(style, 512 if style in ("rom", "shared") else 16)
    tile = CostModel.read().cost(ArrayShape(style, 1024, 512, option.slices, 8))
    cost = UnitCost(2 * tile.neurons_ge + tile.shared_ge, tile.packet_cycles, tile, 2)
    cells = cost.gates * gates_scale(style, a) * gate_um2(style, a)
    many = a.at("tracks_per_um", 1e6)
    assert unit_um2(option, cost, 1, many) == pytest.approx(cells)
    few = [a.at("tracks_per_um", tracks) for tracks in (1.0, 2.0)]
    areas = [unit_um2(option, cost, 1, one) for one in few]
    assert areas[0] == pytest.approx(4 * areas[1]) and areas[1] > cells
    assert track_share(option, cost, few[0]) == pytest.approx(a["track_share"])
    assert track_share(option, cost, many) < 0.001


def test_no_array_of_a_chosen_chip_fills_more_tracks_than_allowed():
    found = estimate(*read_model("llada-moe-7b", None), Request())
    shares = [choice["track_share"] for choice in found.to_json_dict()["array_choices"]]
    assert np.all(np.array(shares) <= found.assumptions["track_share"] * (1 + 1e-9)) and min(shares) > 0
    arrays = sum(array_mm2(choice, found.assumptions) for choice in found.chip.choices)
    assert arrays == pytest.approx(sum(mm2 for part, mm2 in found.chip.area_mm2.items() if "arrays" in part))
