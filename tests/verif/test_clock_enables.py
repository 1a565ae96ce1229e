"""A chip whose clock gates became register enables: every register and port as before, bit for bit."""

import re
from pathlib import Path

import pytest

from hardloom.gen.build.clock_enables import enabled_chip, with_clock_enables
from hardloom.gen.build.folder import Build
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.samplers import by_quota, by_threshold

MODULE = """// m: takes `clk` and gives core_clk,
module m (
    input  wire clk,
    input  wire move,
    output wire wired__clk,
    output reg q
);
    wire idle, core_clk;
    assign wired__clk = clk;
    hardloom_clock_gate gate (.clk(clk), .enable(a), .test_enable(1'b0), .gated(core_clk));
    part one (core_clk, a);
    always @(posedge move) q <= a;
    always @(posedge core_clk)
        if (a) b <= 1'b0;
        else b <= a;
endmodule
"""
ENABLED = """// m: takes `clk` and gives core_clk,
module m (
    input  wire clk, clk_ce,
    input  wire move, move_ce,
    output wire wired__clk, wired__clk_ce,
    output reg q
);
    wire idle, core_clk, core_clk_ce;
    assign wired__clk = clk, wired__clk_ce = clk_ce;
    hardloom_clock_gate gate (.clk(clk), .clk_ce(clk_ce), .enable(a), .test_enable(1'b0), .gated(core_clk), .gated_ce(core_clk_ce));
    part one (core_clk, core_clk_ce, a);
    always @(posedge move) if (move_ce) q <= a;
    always @(posedge core_clk) if (core_clk_ce)
        if (a) b <= 1'b0;
        else b <= a;
endmodule
"""  # noqa: E501


def test_every_clock_goes_with_its_enable_and_comments_stay() -> None:
    assert with_clock_enables(Path("m.v"), MODULE) == ENABLED
    assert with_clock_enables(Path("a.v"), "module a (input x, output y);") == "module a (input x, output y);"


def test_a_clock_gate_keeps_its_name_and_passes_the_clock_on() -> None:
    text = with_clock_enables(Path("p_hardloom_clock_gate.v"), "anything")
    assert "module p_hardloom_clock_gate (" in text and "gated_ce = clk_ce & (enable | test_enable)" in text


def test_the_top_keeps_its_ports_and_has_an_enable_of_its_own() -> None:
    other, top = enabled_chip("m", [(Path("n.v"), MODULE), (Path("m.v"), MODULE)])
    assert other == ENABLED
    assert top == ENABLED.replace("wire clk, clk_ce,", "wire clk,", 1).replace(
        "\n);\n", "\n);\n  wire clk_ce = 1'b1;\n"
    )


def test_no_edge_of_a_chip_is_left_without_an_enable(tiny_build: Build) -> None:
    texts = {path: with_clock_enables(path, path.read_text()) for path in tiny_build.verilog()}
    edges = [edge for text in texts.values() for edge in re.findall(r"(?:pos|neg)edge \w+\)(?: if \((\w+)\))?", text)]
    assert len(edges) > 500 and all(edge.endswith("_ce") for edge in edges)
    assert not [path for path, text in texts.items() if re.search(r"\blatch|open =", text)]


@pytest.mark.slow
def test_every_step_and_probe_point_of_the_rewritten_chip_is_the_integer_model_s(
    tiny_build: Build, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    chip = SimulatedChip(tiny_build, QUICK_BUILD, view="enables")
    runs = [
        Run([3, 9, 12, 5, 7], by_quota(6, 3, 4)),
        Run([2, 11, 6], by_threshold(4, 2, 0.2)),
        Run([14] * 26, by_quota(6, 6, 1)),
    ]
    result = compare_runs(chip, tiny_integer_model, runs, tmp_path / "taps", at_once=2)
    assert result.scoreboard.mismatches == 0, str(result.scoreboard.first)
    assert result.tokens == result.expected and result.scoreboard.compared > 50_000
