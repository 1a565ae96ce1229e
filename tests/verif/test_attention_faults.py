"""Faults of what attention does at once: heads, queries and positions that are taken for one another are seen."""

from pathlib import Path

import pytest
import torch

from hardloom.gen.text.verilog import to_verilog
from hardloom.gen.units.attention import Attention
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.golden.units.attention import Attention as AttentionSpec
from hardloom.verif.faults.tie_bench import Copy, outputs
from hardloom.verif.units.attention import stimulus_of

SIZES = AttentionSizes(AttentionSpec(2), heads=4, lanes=1, max_positions=5, head_lanes=2, query_lanes=2)
LENGTHS = [5, 4, 1]
"""Positions of the passes: the last group is short, whole, or all there is."""

FAULTS = [
    ("scores_multiply", "$signed(i__payload[24:17]) * $signed(i__payload[108:101])", "[108:101]", "[92:85]"),
    ("scores_multiply", "result_terms_2_0 = $signed(i__payload[40:33])", "[40:33]", "[8:1]"),
    ("scores_multiply", "result_scales_3 = i__payload[84:80]", "[84:80]", "[74:70]"),
    ("largest", "$signed(i__payload[47:24]) > $signed(stat[47:24])", "stat[47:24]", "stat[23:0]"),
    ("mix_distance", "$signed(i__payload[168:145])", "[168:145]", "[120:97]"),
    ("mix_weigh", "shift_1 } = i__payload[78:74] - i__payload[121:117]", "[121:117]", "[116:112]"),
    ("mix_multiply", "result_products_1_1 = $signed(i__payload[111:104])", "[111:104]", "[95:88]"),
    ("mix_multiply", "$signed({ 1'h0, i__payload[162:146] })", "[162:146]", "[128:112]"),
    ("scores_q_memory", "scales_0_write_mask = 1'h1 << query", "query", "1'h0"),
    ("scores_q_memory", "{ 1'h0, query, 1'h0 } + index", "query", "1'h0"),
    ("scores_walker", "position + 2'h2", "2'h2", "2'h1"),
    ("mix_walker", "behind >= positions", ">=", ">"),
    ("mix_walker", "$signed(2'h1) -", "2'h1", "2'h0"),
    ("divide", "left - 1'h1", "1'h1", "2'h2"),
    ("divide", "unsent - 1'h1", "1'h1", "2'h2"),
    ("order", "start + 3'h4", "3'h4", "3'h3"),
    ("order", "read_index == 3'h7", "3'h7", "3'h6"),
    ("order", "write_index == 2'h3", "2'h3", "2'h2"),
    ("order", "read_half ? 5'h00 : 5'h10", "5'h10", "5'h00"),
]
"""Part of attention, text that stands there, and what of it is changed into what: another pair's vector, scale, maximum
or weight; words of another position; groups too long, too short or in another place."""


def broken(text: str, part: str, line: str, old: str, new: str) -> str:
    """`text` with the fault."""
    start = text.index(f"\nmodule unit_{part} (")
    at = text.index(line, start, text.index("\nendmodule", start))
    assert line.count(old) == 1
    return text[:at] + line.replace(old, new) + text[at + len(line) :]


@pytest.mark.slow
def test_what_is_taken_for_another_head_query_or_position_is_seen(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    unit = Attention(SIZES)
    text, played = to_verilog(unit, "unit"), [stimulus_of(generator, SIZES, LENGTHS) for _ in range(3)]
    copies = [Copy("right", "unit", text, unit, played)]
    copies += [Copy(f"broken_{k}", "unit", broken(text, *fault), unit, played) for k, fault in enumerate(FAULTS)]
    same = outputs(copies, tmp_path)
    assert all(same["right"])
    assert [fault for k, fault in enumerate(FAULTS) if all(same[f"broken_{k}"])] == []
