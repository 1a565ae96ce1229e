"""Synthesis: the embedded library, Liberty files that users give, and what a build comes to in cells."""

import re
from collections import Counter
from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest

from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.command import Request, synth, synth_figures
from hardloom.flows.synth.figures import unit_name
from hardloom.flows.synth.gate_level import mapped_arrays, mapped_units
from hardloom.flows.synth.jobs import ModuleJob
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.models import cell_models
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.power import Energy, Power, weigh
from hardloom.flows.synth.report import remarks, write_html
from hardloom.flows.synth.saif import toggles
from hardloom.flows.synth.timing import Timing, worst_path
from hardloom.flows.synth.wirelength import net_lengths
from hardloom.flows.synth.yosys import Options
from hardloom.gen.arrays import plan_array
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.matrices import Selection
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from tests.matrices import noise


@pytest.fixture(scope="module")
def library():
    return read_library()


def verilog(folder: Path, name: str, text: str) -> list[Path]:
    (folder / f"{name}.v").write_text(text)
    return [folder / f"{name}.v"]


def test_sums_become_full_adders_where_both_outputs_are_used(tmp_path, library):
    text = "module m(input [3:0] a, b, input c, output [4:0] y); assign y = a + b + c; endmodule"
    result = synthesize(verilog(tmp_path, "m", text), "m", Options(library))
    assert result.cells == {"FA_X1": 4}
    assert result.ge == pytest.approx(4 * 16 / 3, abs=1e-3)


def test_written_memories_stay_memories_and_registers_are_counted(tmp_path, library):
    text = """module m(input clk, we, input [3:0] a, input [6:0] d, output reg [6:0] q);
      reg [6:0] memory [0:15];
      always @(posedge clk) begin if (we) memory[a] <= d; q <= memory[a] ^ 7'd5; end
    endmodule"""
    result = synthesize(verilog(tmp_path, "m", text), "m", Options(library))
    assert (result.memory_bits, result.flip_flops) == (112, 7)


def test_a_module_that_takes_too_long_is_an_error_with_a_reason(tmp_path, library):
    files = verilog(tmp_path, "m", "module m(input a, output y); assign y = ~a; endmodule")
    with pytest.raises(SynthesisError, match=r"m: took more than 0\.01 s"):
        synthesize(files, "m", Options(library, timeout_s=0.01))
    with pytest.raises(SynthesisError, match=r"m: .*ERROR: syntax error"):
        synthesize(verilog(tmp_path, "m", "module m(input a; endmodule"), "m", Options(library))


@pytest.fixture(scope="module")
def figures(tiny_build, library):
    return synth_figures(tiny_build.path, None, "wired_layer_0_o", Options(library))


def test_a_tile_is_its_prefabricated_cells_counted_and_flattened_as_the_check(figures, tiny_build):
    units, rows, turns = figures.units, 16, 2
    (neuron,) = [name for name in units if name.startswith("neuron")]
    assert units[neuron]["instances"] == rows / turns
    assert figures.total["ge"] == pytest.approx(sum(unit["ge"] for unit in units.values()))
    assert figures.flat.synthesis.flip_flops <= figures.total["flip_flops"]
    assert figures.flat.difference == pytest.approx(figures.flat.synthesis.ge / figures.total["ge"] - 1, abs=1e-4)
    assert -0.6 < figures.flat.difference < 0
    assert figures.weights == 256 and not figures.failed


def test_a_build_with_a_prefix_comes_to_the_same_cells(figures, tiny_quantized, tiny_hardware, library, tmp_path):
    selection = Selection(layers=(0,), matrices=("o",))
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    build = build_arrays(checkpoint, tmp_path / "parts", tiny_hardware, selection, module_prefix="layer_5")
    found = synth_figures(build.path, None, "layer_5_wired_layer_0_o", Options(library))
    assert (found.cells, found.total, found.units) == (figures.cells, figures.total, figures.units)
    assert any(library.cells[kind].kind == "clock gate" for kind in found.cells)


def test_a_layer_is_wires_around_units_that_all_layers_share(tiny_build):
    modules = Modules(tiny_build)
    layers = [name for name in modules.instances(tiny_build.require_chip()) if name.startswith("layer_")]
    assert sorted(layers) == ["layer_0", "layer_1"]
    assert all(modules.is_wiring(layer) and modules.instances(layer)["layer"] == 1 for layer in layers)
    assert not modules.is_wiring("layer") and not modules.is_wiring("wired_layer_0_o_scales")


@pytest.mark.parametrize(
    ("module", "unit"),
    [
        ("hardloom_chip_sampler", "sampler"),
        ("layer_experts_router", "experts router"),
        ("layer_like_3_attention_o_rescale", "attention o_rescale"),
        ("wired_layer_1_expert_5_down", "array down"),
        ("table_exp2_64x28_98fbe257", "table exp2"),
        ("wired_layer_12_experts_down_scales", "ROM experts_down_scales"),
    ],
)
def test_units_are_called_what_they_are_in_any_layer(module, unit):
    assert unit_name(module, "hardloom_chip") == unit


def test_results_are_cached_by_content(figures, tiny_build, library, monkeypatch):
    for module in ("jobs", "hierarchy"):
        monkeypatch.setattr(f"hardloom.flows.synth.{module}.synthesize", None)
    again = synth_figures(tiny_build.path, None, "wired_layer_0_o", Options(library))
    assert again == figures


def test_a_module_that_fails_does_not_stop_the_others(tiny_build, library):
    figures = synth_figures(tiny_build.path, "wired_layer_1_router", None, Options(library, timeout_s=0.02))
    assert figures.failed and all("took more than" in reason for reason in figures.failed.values())


@pytest.mark.parametrize(
    ("unit", "tile", "words"),
    [("layer_9", None, "--unit: .* no 'layer_9'; nearest are layer_"), (None, "layer_0", "--tile: .* are wired_")],
)
def test_an_unknown_unit_is_named_with_the_nearest_ones(tiny_build, library, unit, tile, words):
    with pytest.raises(UserError, match=words):
        synth_figures(tiny_build.path, unit, tile, Options(library))


SLICES = {"metal": 2, "packed": 2, "rom": 16, "cell": 1}


@pytest.mark.parametrize(
    ("styles", "flat"),
    [
        (["metal"], False),
        pytest.param(list(SLICES), False, marks=pytest.mark.slow),
        pytest.param(list(SLICES), True, marks=pytest.mark.slow),
    ],
)
def test_gates_of_an_array_give_every_sum(tmp_path, library, monkeypatch, styles, flat):
    """The bench of arrays on the mapped netlist: full adders, clock gates, flip-flops with enable."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    plans = [plan_array(f"a_{style}", [noise("mxfp4", 3, 16)], 4, SLICES[style], style, "mxfp4") for style in styles]
    assert mapped_arrays(plans, tmp_path, Options(library), packets=10, flat=flat) == 0
    text = (tmp_path / "netlists" / "arrays.v").read_text()
    assert "FA_X1" in text and ("neuron_0_2" in text) is not flat


@pytest.mark.slow
def test_gates_of_a_unit_are_its_specification(tmp_path, library, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert mapped_units(["combine"], tmp_path, Options(library)) == 0


@pytest.mark.slow
def test_a_broken_gate_is_noticed(tmp_path, library, monkeypatch):
    """One full adder's carry taken for its sum."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    wrong = cell_models(library, ["FA_X1"]).replace("assign S = ((A ^ B) ^ CI)", "assign S = ((A & B) | CI)")
    models = "hardloom.flows.synth.gate_level.cell_models"
    monkeypatch.setattr(models, lambda library, used: wrong + others(library, used))
    plan = plan_array("a", [noise("mxfp4", 3, 16)], 4, 2, "metal", "mxfp4")
    assert mapped_arrays([plan], tmp_path, Options(library), packets=10) > 0


def others(library, used):
    return cell_models(library, [name for name in used if name != "FA_X1"])


def test_models_are_what_the_library_says(library):
    text = cell_models(library, ["AOI21_X1", "DFFE_X1", "DFFR_X1", "CLKGATE_X1"])
    assert "assign Y = !((A & B) | C);" in text
    assert "always @(posedge CK) IQ <= ((D & E) | (IQ & !E));" in text
    assert "always @(posedge CK or negedge RN) if (!RN) IQ <= 1'b0; else IQ <= D;" in text
    assert "assign GCK = CK & hardloom_open;" in text


SAIF = """(SAIFILE (SAIFVERSION "2.0") (DURATION 100) (INSTANCE top (NET (clk (T0 50) (T1 50) (TX 0) (TC 20)))
  (INSTANCE a_unit (NET (n1 (T0 10) (T1 90) (TX 0) (TC 4)) (y\\\\[3\\\\] (T0 99) (T1 1) (TX 0) (TC 1)))
    (INSTANCE cell (NET (n1 (T0 1) (T1 99) (TX 0) (TC 77)))))))"""


def test_toggles_are_those_of_the_nets_right_in_the_instance():
    assert toggles(SAIF, "a_unit") == {"n1": 4, "y[3]": 1}
    with pytest.raises(ValueError, match="no instance b"):
        toggles(SAIF, "b")


def test_energy_is_half_c_v_squared_a_toggle_and_what_the_cell_takes_itself(library):
    module = {
        "netnames": {"a": {"bits": [2]}, "y": {"bits": [3]}, "z": {"bits": [4]}},
        "cells": {
            "i": {"type": "INV_X1", "connections": {"A": [2], "Y": [3]}},
            "j": {"type": "INV_X2", "connections": {"A": [3], "Y": [4]}},
        },
    }
    plan = plan_array("a", [noise("mxfp4", 2, 4)], 4, 1, "metal", "mxfp4")
    neurons, shell = (weigh(module, Counter(n), library) for n in ({"a": 10, "y": 6}, {}))
    power = Power.of(plan, 2, library.volts, neurons, shell, False)
    assert power.wires_pj is None and power.weight_range_fj is None
    half = 0.8**2 / 2 * 1e-3  # pJ a fF
    assert power.switching_pj == pytest.approx((10 * 0.6 + 6 * 1.2) * half / 2, abs=1e-4)
    assert power.internal_pj == pytest.approx(6 * 0.15 * half / 2, abs=1e-4)
    assert power.leakage_uw == pytest.approx(2 * 0.15 * 3 * 1e-3, abs=1e-4)
    assert power.neurons_pj == power.gemv_pj
    assert power.weight_fj == pytest.approx(1000 * power.gemv_pj / 8, rel=0.1)


def test_wires_of_placed_cells_take_their_capacitance_a_toggle(library):
    """Two inverters side by side: one net between two cells, as long as they are apart; ports and clock have none."""
    pytest.importorskip("coloquinte", reason="the extra `bench` is not installed")
    module = {
        "netnames": {"a": {"bits": [2]}, "y": {"bits": [3]}, "z": {"bits": [4]}},
        "cells": {
            "i": {"type": "INV_X1", "connections": {"A": [2], "Y": [3]}},
            "j": {"type": "INV_X2", "connections": {"A": [3], "Y": [4]}},
        },
    }
    (length,) = net_lengths(module, library, frozenset()).values()
    assert 0 < length < 4 and net_lengths(module, library, frozenset({3})) == {}
    farads = length * sqrt(library.nand2.area) * 0.173e-15
    placed, bare = (weigh(module, Counter({"a": 10_000, "y": 6_000}), library, place) for place in (True, False))
    assert placed.wires == pytest.approx(6_000 * farads * 0.8**2 / 2) and bare.wires == 0
    assert placed.total == pytest.approx(bare.total + placed.wires)
    plan = plan_array("a", [noise("mxfp4", 2, 4)], 4, 1, "metal", "mxfp4")
    power = Power.of(plan, 1, library.volts, placed, Energy(0.0, 0.0, 0.0, 0.0), True)
    wires = 1000 * power.wires_pj / plan.weights
    least, most = 0.88 * 0.105 / 0.173, 1.5 * 0.189 / 0.173
    ends = power.weight_fj + (least - 1) * wires, power.weight_fj + (most - 1) * wires
    assert power.weight_range_fj == pytest.approx(ends, rel=1e-3)


def test_what_goes_not_together_is_refused_in_one_sentence(tiny_build):
    for chosen, words in (
        ({"power": True}, "--power: goes with --tile"),
        ({"generic": True, "liberty": [Path("x.lib")]}, "--generic: takes no library"),
        ({"unit": "layer_0", "tile": "wired_layer_0_o"}, "--tile: goes not together with --unit"),
        ({"generic": True, "clock_ns": 2.0}, "--generic: has no times; leave out --clock-ns"),
        ({"tile": "wired_layer_0_o", "fpga": "virtex"}, "'virtex' is unknown; choose one of ecp5, ice40"),
        ({"tile": "wired_layer_0_o", "fpga": "ecp5", "clock_ns": 2.0}, "--fpga: .*; leave out --clock-ns"),
    ):
        with pytest.raises(UserError, match=words):
            synth(tiny_build.path, Request(**chosen))


@pytest.mark.parametrize(
    ("clock", "slack", "words"),
    [(None, None, "no clock given"), (2.0, 0.5, "meets the clock of 2 ns, slack \\+0.500 ns"),
     (1.25, -0.25, "MISSES the clock of 1.25 ns, slack -0.250 ns"), (1.5, 0.0, "meets the clock of 1.5 ns")],
)  # fmt: skip
def test_a_clock_is_met_or_missed_and_the_report_says_by_how_much(figures, clock, slack, words):
    timing = Timing("OpenSTA", 1.5, clock_ns=clock)
    assert timing.slack_ns == slack and timing.met == (None if slack is None else slack >= 0)
    (said,) = [remark for remark in remarks(replace(figures, timing=timing)) if "longest path" in remark]
    assert re.search(words, said)


def test_without_a_library_a_flattened_array_is_counted_in_cells(figures):
    (said,) = [remark for remark in remarks(replace(figures, library=None)) if "flattened" in remark]
    assert said.startswith(f"flattened: {sum(figures.flat.synthesis.cells.values()):,} cells, ")


PATH = """Startpoint: {} (rising edge-triggered flip-flop clocked by clk)
Endpoint: {} (rising clock gating-check end-point clocked by clk)
Path Group: {}

    {}   slack ({})
"""


def test_the_longest_path_is_that_of_least_slack_in_all_groups():
    report = PATH.format("a", "gate", "**clock_gating_default**", "-94.40", "VIOLATED") + PATH.format(
        "b", "c", "clk", "-4037.18", "VIOLATED"
    )
    assert worst_path(report, 1.0, 0.001, 2.0) == Timing("OpenSTA", 5.03718, "b", "c", 2.0)
    assert worst_path("No paths found.", 1.0, 1.0, None) is None


def test_the_page_holds_every_unit_and_nothing_from_elsewhere(figures, tmp_path):
    write_html(figures, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in figures.units)
    assert not re.search(r"(src|href)=|url\(|@import", page)


def test_memory_that_does_not_hold_yosys_itself_is_told_as_such(tmp_path):
    files = verilog(tmp_path, "m", "module m(input a, output y); assign y = ~a; endmodule")
    with pytest.raises(SynthesisError, match=r"^m: took more than 0\.02 GiB$"):
        synthesize(files, "m", Options(None, memory_gib=0.02))


def test_what_a_net_drives_counts_where_there_is_a_clock(tiny_build, library):
    modules = Modules(tiny_build)

    def driven(**options: float) -> list[int]:
        jobs = (
            ModuleJob.of(modules, name, modules.top, Options(library, **options)) for name in modules.below("layer_0")
        )
        return [job.driven for job in jobs]

    assert {*driven()} == {1} and max(driven(clock_ns=2.0)) > 1
