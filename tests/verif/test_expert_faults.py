"""Faults of groups of experts: tokens, jobs and sums that are taken for one another are seen."""

from pathlib import Path

from hardloom.verif.streams import bench
from tests.verif.planted import Fault, unseen

FAULTS: list[Fault] = [
    ("dispatch_8_3x5_2", "1'h1 << choice__payload[5:3]", "[5:3]", "[2:0]"),
    ("dispatch_8_3x5_2", "1'h0, choice__payload[3], 1'h0, choice__payload[6] }, {", "[3]", "[4]"),
    ("dispatch_8_3x5_2", "1'h0, choice__payload[5:4], 1'h0", "[5:4]", "[4:3]"),
    ("dispatch_8_3x5_2", "choice__payload[25:9], choice__payload[42:26]", "[42:26]", "[59:43]"),
    ("dispatch_8_3x5_2", "{ 1'h0, choice__payload[0] } == { 1'h0, choice__payload[3] }", "[3]", "[4]"),
    ("dispatch_8_3x5_2", "{ 1'h0, choice__payload[3] } == { 1'h0, choice__payload[6] }", "[6]", "[7]"),
    ("dispatch_8_3x5_2", "turn == 2'h2", "2'h2", "2'h1"),
    ("weighted_sum_12_top3", "first <= multiply_o__payload[91]", "[91]", "[90]"),
    ("weighted_sum_12_top3", "first ? 48'h000000000000 : totals_o__payload[95:48]", "[95:48]", "[47:0]"),
    ("weighted_sum_12_top3", "$signed({ 1'h0, i__payload[73:57] })", "[73:57]", "[72:56]"),
    ("combine_2x6_top3_2_28", "shares__payload[1] ? i__1__payload[46:0]", "[1]", "[0]"),
    ("combine_2x6_top3_2_28", "shares__payload[0] ? i__0__payload[93:47]", "[0]", "[1]"),
]
"""A packet, a job or a weight of another expert, another group; a token that ends too early or too late; a sum that is
none of the token's."""


def test_what_is_taken_for_another_expert_or_group_is_seen(tmp_path: Path) -> None:
    assert unseen(FAULTS, bench.cases(["flow", "combine"]), ["random"] * 3, tmp_path) == []
