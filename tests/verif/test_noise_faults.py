"""Faults of noise on logits: noise of another token or step, a wrong best, a spread of another token are seen."""

from pathlib import Path

from hardloom.verif.streams import bench
from tests.verif.planted import Fault, unseen

FAULTS: list[Fault] = [
    ("noise_word", "seed_mixed_o__payload[31:0] + seed_mixed_o__payload[105:90]", "[105:90]", "[121:106]"),
    ("noise_word", "step_mixed_o__payload[31:0] + step_mixed_o__payload[105:90]", "[105:90]", "[104:90]"),
    ("noise_word", "i__payload[57:0], i__payload[89:58]", "[89:58]", "[88:57]"),
    ("head_gate_2x6_6_noise", "manners__payload[121:106] + since_first", "since_first", "1'h0"),
    ("head_gate_2x6_6_noise", "i__payload[57] ? 17'h00000", "17'h00000", "17'h00001"),
    ("gumbel_3x7_24", "base + 2'h3", "2'h3", "2'h2"),
    ("gumbel_3x7_24", "i__payload[72] ? 5'h00 : _01_", "5'h00", "_01_"),
    ("gumbel_3x7_24", "mixed_i__payload[31:0] + 2'h2", "2'h2", "2'h1"),
    ("gumbel_3x7_24", "total ^ { 12'h000, total[31:12] }", "[31:12]", "[31:11]"),
    ("gumbel_3x7_24", "total_2 ^ { 14'h0000, total_2[31:14] }", "^", "|"),
    ("gumbel_3x7_24", "6'h20 - result_2", "6'h20", "6'h1f"),
    ("gumbel_3x7_24", "_009_ ? 7'h1f", "7'h1f", "7'h00"),
    ("gumbel_3x7_24", "i__payload[12:8], i__payload[15:13]", "[15:13]", "[7:5]"),
    ("gumbel_3x7_24", "$signed(i__payload[31:16]) * $signed({ 1'h0, i", "1'h0", "i__payload[139]"),
    ("gumbel_3x7_24", "$signed(i__payload[119:96]) +", "[119:96]", "[143:120]"),
    ("gumbel_3x7_24", "i__payload[170] ? 35'h7ff000000", "[170]", "[169]"),
    ("gumbel_3x7_24", "i__payload[31:9] }) + $signed(2'h1)", "2'h1", "2'h0"),
    ("argmax_2x7_36_noise", "later ? { i__payload[71:36], 1'h1 }", "[71:36]", "[35:0]"),
    ("argmax_2x7_36_noise", "$signed(_04_) > $signed(stat[76:40])", ">", ">="),
    ("argmax_2x7_36_noise", "first | _08_", "first", "1'h0"),
    ("argmax_2x7_36_noise", "higher ? _03_ : stat[36:0]", "higher", "better"),
    ("argmax_2x7_36_noise", "_0_ ? 17'h00001 : i__payload[19:3]", "17'h00001", "17'h00002"),
    ("argmax_2x7_36_noise", "i__payload[22:17] - 5'h11", "5'h11", "5'h10"),
    ("argmax_2x7_36_noise", "result[38:3], _01_[0] } = _00_ + 1'h1", "1'h1", "1'h0"),
    ("argmax_2x13_24_6_noise", "result_parts_2_rank = later_5 ?", "later_5", "later_6"),
    ("argmax_2x13_24_6_noise", "_13_ + 3'h5", "3'h5", "3'h3"),
    ("argmax_2x13_24_6_noise", "later ? { i__payload[155:132], i__payload[106:103] }", "[155:132]", "[77:54]"),
    ("argmax_2x13_24_6_noise", "level_3_o__payload[53:29] == stat[53:29]", "==", "!="),
    ("argmax_2x13_24_6_noise", "result_parts_0_value = later_6 ?", "later_6", "later_3"),
]


def test_noise_of_another_token_and_a_wrong_best_are_seen(tmp_path: Path) -> None:
    cases = bench.cases(["gumbel", "argmax", "head_gate"])
    assert unseen(FAULTS, cases, ["random", "corners", "random"], tmp_path) == []
