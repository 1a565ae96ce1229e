"""Faults of passes that compute a block and its vicinity: other positions, keys that are left out, a scale that is
forgotten or another slot's, passes of all positions that do not come or come unasked."""

from pathlib import Path

import pytest

from hardloom.verif.streams import bench
from tests.verif.planted import Fault, unseen

NEAR, SAMPLER = "attention_3_near_2_passes_4x4_shared_by_2", "sampler_19_14_vicinity"

FAULTS: list[Fault] = [
    (NEAR, "_034_ ? 5'h00 : earlier_0_read_data", "earlier_0_read_data", "5'h00"),
    (NEAR, "_034_ ? 5'h00 : earlier_0_read_data", "_034_", "1'h0"),
    (NEAR, "earlier_0_read_address } = { 1'h0, spans__payload[1:0], 1'h0 }", "spans__payload[1:0]", "2'h0"),
    (NEAR, "positions - 1'h1", "positions", "stop"),
    (NEAR, "behind >= stop", "stop", "positions"),
    (SAMPLER, "place[27] & place[28]", "place[28]", "1'h1"),
    (SAMPLER, "place[27] & place[28]", "place[27]", "1'h1"),
    (SAMPLER, "place[18:15] + place[26:23]", "+", "-"),
    (SAMPLER, "place[14:11] - { 1'h0, place[26:23] }", "[26:23]", "[26:24]"),
    (SAMPLER, "registers_x_read_data < place[14:11]", "<", "<="),
    (SAMPLER, "registers_x_read_data < place[14:11]", "place[14:11]", "4'h0"),
    (SAMPLER, "registers_x_read_data >= place[18:15]", ">=", ">"),
]


@pytest.mark.slow
def test_a_pass_of_other_positions_and_what_is_kept_wrongly_are_seen(tmp_path: Path) -> None:
    cases = bench.cases(["attention", "sampler"])
    assert unseen(FAULTS, cases, ["random", "corners", "random", "random"], tmp_path) == []
