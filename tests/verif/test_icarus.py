"""Icarus reads the emitted text without a warning, and computes the same, whatever is unknown before the reset."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject, LogicObject
from cocotb.triggers import FallingEdge

from hardloom.gen.arrays import ArrayPlan, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import Build
from hardloom.gen.build.names import FILE_LIST
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.arrays.bench import bench_arrays
from hardloom.verif.chip.bench import BENCH
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.host import Host
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.simulators.runner import run_tests
from tests.checkpoints import write_random_checkpoint
from tests.chips import built_chip
from tests.icarus import needs_icarus
from tests.matrices import noise
from tests.samplers import by_quota

pytestmark = needs_icarus

SHORT = Run([3, 9], by_quota(2, 2, 1))
CYCLES = 2000
"""More than the chip takes for it, the host's accesses included."""


def plan_of(style: str) -> ArrayPlan:
    slices = STYLES[style].small_slices(32)
    return plan_array(f"{style}_array", [noise("mxfp4", 8, 32, bank) for bank in range(2)], 4, slices, style, "mxfp4")


def test_arrays_of_every_style_compute_their_sums(tmp_path: Path) -> None:
    assert bench_arrays([plan_of(style) for style in STYLES], tmp_path, packets=9, simulator="icarus") == 0
    assert (tmp_path / "icarus" / "build.log").read_text() == ""


def test_a_whole_chip_compiles_without_warnings(tiny_build: Build) -> None:
    command = ["iverilog", "-g2005", "-Wall", "-c", FILE_LIST, "-o", "/dev/null"]
    result = subprocess.run(command, cwd=tiny_build.path, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture(scope="module")
def chip(tiny_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SimulatedChip:
    """One layer; of two experts an unknown number chooses both at once, where of three it would choose none."""
    folder = tmp_path_factory.mktemp("icarus")
    config = tiny_fields | {"num_hidden_layers": 1, "num_experts": 2, "num_experts_per_tok": 1}
    write_random_checkpoint(folder / "ckpt", config, seed=3)
    quantize_checkpoint(folder / "ckpt", folder / "quantized", "mxfp4", numerics=Numerics())
    checkpoint = QuantizedCheckpoint(folder / "quantized")
    fields = HardwareConfig.default(checkpoint.model).to_json_dict() | {"max_positions": 8}
    build = built_chip(checkpoint, folder / "chip", HardwareConfig.from_json_dict(fields))
    return SimulatedChip(build, simulator="icarus")


IDLE = """
module idle;
    reg clk = 0, rst = 1, test_enable = 0, counting = 0, asked = 0;
    hardloom_chip chip (.clk(clk), .rst(rst), .test_enable(test_enable), .s_axil_awvalid(1'b0), .s_axil_wvalid(1'b0),
        .s_axil_arvalid(1'b0), .s_axil_bready(1'b0), .s_axil_rready(1'b0), .s_axis_tvalid(1'b0), .m_axis_tready(1'b0));
    initial begin
        if ($test$plusargs("test")) test_enable = 1;
        repeat (8) #1 clk = ~clk;
        rst = 0;
        repeat (200) #1 clk = ~clk;
        counting = 1;
        repeat (20) #1 clk = ~clk;
        asked = 1;
    end
endmodule
"""
"""A chip without work: after it has cleared itself, ten cycles are counted."""

COUNTED = """
    integer cycles = 0;
    always @(posedge gated) if (idle.counting) cycles = cycles + 1;
    always @(posedge idle.asked) $display("%m %0d", cycles);
endmodule"""


def test_an_idle_chip_has_no_gated_clock_and_with_test_enable_has_all_of_them(
    chip: SimulatedChip, tmp_path: Path
) -> None:
    (tmp_path / "idle.v").write_text(IDLE)
    gate = chip.build.file("rtl/prefab/hardloom_clock_gate.v")
    (tmp_path / "gate.v").write_text(gate.read_text().replace("\nendmodule", COUNTED))
    sources = [str(path) for path in chip.build.verilog() if path != gate]
    subprocess.run(
        ["iverilog", "-g2005", "-s", "idle", "-o", "idle", "idle.v", "gate.v", *sources], cwd=tmp_path, check=True
    )
    counts = []
    for arguments in ([], ["+test"]):
        shown = subprocess.run(
            ["vvp", "-n", "idle", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        counts.append(dict(line.rsplit(" ", 1) for line in shown.stdout.splitlines()))
    idle, tested = counts
    assert len(idle) > 30 and idle.keys() == tested.keys()
    assert set(idle.values()) == {"0"} and set(tested.values()) == {"10"}


INPUT_STORE = {"held", "held_scale", "bits", "seen"}
"""Registers of an array that are its memory: of the packet that it has taken in."""


def registers(text: str) -> set[str]:
    """Names of the registers of a module's text that a reset must make known: not memories, nor what they read."""
    declared = [name for line in re.findall(r"\breg\b([^;\n]*)", text) for name in line.split(",")]
    names = {found[1].lstrip("\\") for name in declared if (found := re.search(r"(\S+) *$", name))}
    memories = {found[1].lstrip("\\") for name in declared if (found := re.search(r"(\S+) *\[[^]]*\] *$", name))}
    clocked = {
        (to.lstrip("\\"), of.lstrip("\\")) for to, of in re.findall(r"(\S+) *(?:\[[^]]*\])* *<= *(\S+?)\b", text)
    }
    return {to for to, of in clocked if to in names and of not in memories and to not in memories | INPUT_STORE}


def unknown_registers(part: HierarchyObject, of_module: dict[str, set[str]]) -> Iterator[str]:
    """Paths of the registers below `part` that have an unknown bit; `of_module`: names of registers by module."""
    expected = of_module.get(part._def_name, set())
    for child in part:
        if isinstance(child, HierarchyObject):
            yield from unknown_registers(child, of_module)
        elif child._name in expected and not child.value.is_resolvable:
            yield child._path


def handshakes(part: HierarchyObject) -> Iterator[LogicObject]:
    """All signals below `part` that are called ...valid or ...ready."""
    for child in part:
        if isinstance(child, HierarchyObject):
            yield from handshakes(child)
        elif isinstance(child, LogicObject) and re.search("(valid|ready)$", child._name):
            yield child


@cocotb.test(timeout_time=2 * CYCLES, timeout_unit="step")
async def watch_handshakes(dut) -> None:
    """One run; a JSON list of how many handshake signals there are, and of those and registers that were unknown."""
    Clock(dut.clk, 2, "step").start()
    watched, unknown = list(handshakes(dut.chip)), set()
    host = Host(dut)
    await host.reset()
    sources = Path(os.environ["HARDLOOM_SOURCES"]).read_text().split("\n")
    modules = [part for path in sources for part in re.split(r"^module ", Path(path).read_text(), flags=re.M)[1:]]
    of_module = {re.match(r"\w+", module)[0]: registers(module) for module in modules}
    assert sum(map(len, of_module.values())) > 500
    unknown.update(unknown_registers(dut.chip, of_module))

    async def watch() -> None:
        while True:
            await FallingEdge(dut.clk)
            unknown.update(signal._path for signal in watched if not signal.value.is_resolvable)

    watching = cocotb.start_soon(watch())
    await host.start(json.loads(Path(os.environ["HARDLOOM_REQUEST"]).read_text()))
    steps = [step async for step in host.steps()]
    watching.cancel()
    host.check_protocol()
    assert len(steps) == 1
    Path(os.environ["HARDLOOM_RESULTS"]).write_text(json.dumps([len(watched), sorted(unknown)]))


@pytest.fixture(scope="module")
def unknown(chip: SimulatedChip, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths of registers that were unknown right after the reset, and of handshakes that were in a run of `SHORT`."""
    folder = tmp_path_factory.mktemp("handshakes")
    (folder / "sources").write_text("\n".join(map(str, chip.build.verilog())))
    (folder / "request").write_text(json.dumps(SHORT.request(chip.model, chip.build.hardware)))
    names = {f"HARDLOOM_{name.upper()}": str(folder / name) for name in ("results", "sources", "request")}
    build = (chip.folder / "icarus").resolve()
    assert run_tests(BENCH, __name__, folder, names, build=build, simulator="icarus") == 0
    count, paths = json.loads((folder / "results").read_text())
    assert count > 500
    return paths


def test_a_reset_reaches_every_register_and_no_handshake_depends_on_what_is_not_there(unknown: list[str]) -> None:
    """A payload is unknown until its first `valid`: memories are, and queues read one."""
    assert unknown == []


def test_a_chip_with_register_enables_for_clock_gates_is_the_integer_model(chip: SimulatedChip, tmp_path: Path) -> None:
    enabled = SimulatedChip(chip.build, simulator="icarus", view="enables")
    result = compare_runs(enabled, IntegerModel(chip.build.checkpoint()), [SHORT], tmp_path / "taps")
    assert result.scoreboard.first is None, str(result.scoreboard.first)
    assert result.tokens == result.expected
    assert result.scoreboard.compared > 1000


def test_a_whole_chip_answers_as_the_integer_model(chip: SimulatedChip, unknown: list[str]) -> None:
    """`unknown` comes first: it gives up on a chip that does not answer."""
    model = IntegerModel(chip.build.checkpoint())
    result = compare_runs(chip, model, [SHORT], chip.folder / "taps")
    assert result.scoreboard.first is None, str(result.scoreboard.first)
    assert result.tokens == result.expected
    assert result.scoreboard.compared > 1000
