"""Faults of folds over many lanes: wrong parts of a tree, trees out of step with their packets, wrong ties are seen."""

from pathlib import Path

import pytest

from hardloom.verif.faults.argmax_ties import tie_argmax
from hardloom.verif.streams import bench
from tests.verif.planted import Fault, unseen, unseen_ties

FAULTS: list[Fault] = [
    ("router_16x37_2_24", "later_2 = $signed(level_0_o__payload[47:24]) > $signed(_01_)", ">", "<"),
    ("router_16x37_2_24", "result_parts_1 = later_14 ? _21_ : _22_", "_21_", "_22_"),
    ("router_16x37_2_24", "i__payload[384] ? 24'h800000 : i__payload[143:120]", "[384]", "[383]"),
    ("router_16x37_2_24", "first <= level_0_o__payload[48]", "level_0_o__payload[48]", "i__payload[384]"),
    ("rmsnorm_16x48_24", "_01_ + level_0_o__payload[65:33]", "[65:33]", "[32:0]"),
    ("rmsnorm_16x48_24", "$signed(_20_) + $signed(_21_)", "_21_", "_07_"),
    ("rmsnorm_16x48_24", "first ? 36'h000000000 : stat", "36'h000000000", "36'h000000001"),
    ("argmax_16x37_24", "result_parts_1_value = later_6 ? _12_ : _13_", "_13_", "_12_"),
    ("argmax_16x37_24", "later_3 ? _03_ : _04_", "_03_", "_04_"),
    ("argmax_16x37_24", "base + level_1_o__payload[28:25]", "[28:25]", "[27:25]"),
    ("argmax_16x37_24", "base + 5'h10", "5'h10", "5'h0f"),
    ("argmax_72x301_24_2", "result_parts_2_token = later_9 ? _008_ : _009_", "_008_", "_009_"),
    ("argmax_72x301_24_2", "result_parts_2_value = later_9 ? _005_ : _006_", "_005_", "_006_"),
]


def test_a_wrong_part_or_a_tree_out_of_step_is_seen(tmp_path: Path) -> None:
    cases = bench.cases(["argmax", "rmsnorm", "router"])
    assert unseen(FAULTS, cases, ["random", "corners", "random"], tmp_path) == []


@pytest.mark.parametrize(("lanes", "tiles", "places"), [(10, 1, 10), (9, 2, 18)])
def test_every_comparison_of_a_tree_decides_its_ties(lanes: int, tiles: int, places: int, tmp_path: Path) -> None:
    unit = tie_argmax(3 * places + 5, lanes, tiles)
    assert len(unit.rules) == places, "one fewer than places of a beat, and one of a beat with those before it"
    assert unseen_ties(unit, tmp_path) == []
