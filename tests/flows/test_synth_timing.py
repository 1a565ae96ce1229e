"""Synthesis for a clock, and timing from register to register through modules that were mapped one by one."""

import shutil
from pathlib import Path

import pytest

from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.command import Request, synth
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.paths import box_liberty, longest_by_unit, ports_of
from hardloom.flows.synth.timing import open_sta
from hardloom.flows.synth.yosys import Adders, Options
from hardloom.gen.build.folder import Build
from hardloom.gen.text.ram import RamGeometry
from hardloom.golden.errors import UserError

needs_sta = pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")

PRODUCT = """module m (input clk, input [15:0] a, b, output reg [31:0] y);
    always @(posedge clk) y <= a * b + y;
endmodule
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    path = tmp_path / "m.v"
    path.write_text(PRODUCT)
    return path


@needs_sta
def test_a_clock_takes_the_smallest_adders_that_meet_it(product: Path, tmp_path: Path) -> None:
    library, netlist = read_library([]), tmp_path / "mapped.v"
    area = synthesize([product], "m", Options(library))
    assert (area.adders, area.longest_ns) == (Adders.RIPPLE.value, None)
    slow = synthesize([product], "m", Options(library, clock_ns=100.0))
    hurried = synthesize([product], "m", Options(library, clock_ns=0.01), netlist=netlist)
    assert slow.adders == Adders.RIPPLE.value and slow.longest_ns is not None and slow.longest_ns < 100
    assert hurried.longest_ns is not None and 0.01 < hurried.longest_ns < 0.6 * slow.longest_ns
    timing = open_sta(netlist, "m", library, 0.01)
    assert timing is not None and timing.longest_ns == hurried.longest_ns, "the netlist that is timed is the one given"
    between = (slow.longest_ns + hurried.longest_ns) / 2
    met = synthesize([product], "m", Options(library, clock_ns=between))
    assert met.longest_ns is not None and met.longest_ns <= between and met.ge <= hurried.ge


def test_without_opensta_abc_sees_all_that_it_times(product: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hardloom.flows.synth.timing.shutil.which", lambda command: None)
    found = synthesize([product], "m", Options(read_library([]), clock_ns=1.0))
    assert (found.adders, found.tool) == (Adders.GATES.value, "ABC") and found.longest_ns == found.abc_delay_ns


@needs_sta
def test_a_unit_is_timed_through_all_its_modules(tiny_build: Build) -> None:
    figures = synth(tiny_build.path, Request(unit="hardloom_chip_argmax", clock_ns=2.0, timing=True)).figures
    paths, timing = figures.paths, figures.timing
    assert timing.tool == "OpenSTA" and timing.longest_ns == max(paths.values())
    assert {"delay", "delay/beats", "numerator/lookup", "total"} <= {*paths}
    assert [*paths.values()] == sorted(paths.values(), reverse=True) and min(paths.values()) > 0
    apart = synth(tiny_build.path, Request(unit="hardloom_chip_argmax", clock_ns=2.0)).figures.timing
    assert timing.longest_ns > 0.8 * apart.longest_ns, "what lies within a module lies in the whole"


def test_timing_says_what_it_needs(tiny_build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="leave out --tile and --generic"):
        Request(tile="wired_layer_0_o", timing=True)
    monkeypatch.setattr("hardloom.flows.synth.timing.shutil.which", lambda command: None)
    with pytest.raises(UserError, match="needs OpenSTA"):
        Request(timing=True)


def test_boxes_have_the_ports_of_their_modules() -> None:
    text = RamGeometry.of("hardloom_ram_1r1w_6x8_w4").verilog()
    assert list(ports_of(text)) == [
        *[("input", 1, "clk"), ("input", 1, "write_enable"), ("input", 3, "write_address"), ("input", 8, "write_data")],
        *[("input", 2, "write_mask"), ("input", 1, "read_enable"), ("input", 3, "read_address")],
        ("output", 8, "read_data"),
    ]
    assert list(ports_of("module n (\n    input  wire clk,\n    input  wire s0, s1,\n    input  wire s2\n\n);")) == [
        *[("input", 1, name) for name in ("clk", "s0", "s1", "s2")]
    ]
    written = box_liberty(read_library([]), {"hardloom_ram_1r1w_6x8_w4": text})
    assert "bus (read_data) { bus_type : bus8; direction : output;" in written and "clock : true" in written


REPORT = """
max_delay/setup group clk

                                     Required  Actual
Endpoint                               Delay   Delay   Slack
------------------------------------------------------------
layer_0/units/q/_667_/D (DFF)  982.54 4529.42 -3546.88 (VIOLATED)
layer_1/units/q/_12_/D (DFF)  982.54 1529.42 100.00 (MET)
_3_/D (DFF)  982.54 1529.42 250.50 (MET)
"""


def test_end_points_are_told_by_their_unit() -> None:
    found = longest_by_unit(REPORT, 1.0, 0.001)
    assert found == {"layer/units/q": 4.54688, "(ports and registers of the top)": 0.7495}
