# amaranth: UnusedElaboratable=no
"""A layer's netlist: every array and ROM of the layer, once, where its engine has the ports for it."""

import re
from dataclasses import replace

import pytest

from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.design.matrices import array_units
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.engine.netlist import layer_netlist
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import tiny_config

MODEL = shape_of(tiny_config(num_experts=2, hidden_size=8, expert_intermediate_size=4))
HARDWARE = HardwareConfig(lanes=2, max_positions=4)
WIDEST = 12


def netlist(layer: int = 0, numerics: Numerics = Numerics(), **widths: int) -> str:
    """Of a layer whose arrays have sums of `WIDEST` bits but for those that `widths` has."""
    engine = LayerEngine(LayerSizes(MODEL, numerics, HARDWARE, 0, dict.fromkeys(ARRAY_KINDS, WIDEST)))
    names = {unit.name: WIDEST for unit in array_units(MODEL) if unit.layer == layer}
    return layer_netlist(engine, layer, names | {name.replace("_", ".", 2): width for name, width in widths.items()})


@pytest.mark.parametrize("gains", ["folded", "behind"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_layer_has_each_of_its_arrays_and_roms_once(layer, gains):
    instances = re.findall(r"^  (\w+) (\w+) \($", netlist(layer, replace(Numerics(), gains=gains)), re.MULTILINE)
    arrays = [unit.name.replace(".", "_") for unit in array_units(MODEL) if unit.layer == layer]
    roms = ["q_gain", "k_gain", *(f"{kind}_scales" for kind in ("qkv", "o", "router"))]
    roms += ["experts_gate_up_scales", "experts_down_scales", *(["input_gain", "post_gain"] * (gains == "behind"))]
    expected = [("layer", "units"), *((f"wired_layer_{layer}_{name}", name) for name in [*arrays, *roms])]
    assert sorted(instances) == sorted(expected)


def test_a_narrower_sum_is_sign_extended_element_by_element():
    text = netlist(expert_1_down=10)
    assert "  wire [19:0] expert_1_down_out_data;\n" in text and "  wire [23:0] expert_0_down_out_data;\n" in text
    pins = dict(re.findall(r"\.experts__(\w+)__o__payload\(\{(.*?)\}\)(?=,\n)", text, re.DOTALL))
    assert pins["expert_0_down"] == "expert_0_down_out_last, expert_0_down_out_scale, expert_0_down_out_data"
    assert [part.strip() for part in pins["expert_1_down"].split(",\n")] == [
        "expert_1_down_out_last, expert_1_down_out_scale",
        "{{2{expert_1_down_out_data[19]}}, expert_1_down_out_data[19:10]}",
        "{{2{expert_1_down_out_data[9]}}, expert_1_down_out_data[9:0]}",
    ]


def test_arrays_have_the_clock_of_their_half():
    clocks = dict(re.findall(r"^  wired_\w+ (\w+) \(\n    \.clk\((\w+)\)", netlist(), re.MULTILINE))
    halves = {name: "attention" if name in ("qkv", "o") else "experts" for name in clocks}
    assert clocks == {name: f"{half}__clk" for name, half in halves.items()} and len(clocks) == 7
