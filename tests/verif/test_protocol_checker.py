"""The checker of the chip's ports finds every rule broken, and nothing where none is."""

from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from cocotb.types import LogicArray

from hardloom.gen.design.axi_ports import AXI_LITE, STREAM_IN, STREAM_OUT
from hardloom.verif.chip.bench import PROTOCOL_CHECKER
from hardloom.verif.simulators.runner import build_and_test
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.icarus import needs_icarus

Values = dict[str, int]
"""What ports are given in a cycle; those of the cycle before stay."""

PREFIXES = {"s_axil": AXI_LITE, "s_axis": STREAM_IN, "m_axis": STREAM_OUT}
PORTS = [f"{prefix}_{name}" for prefix, ports in PREFIXES.items() for name in ports] + ["irq"]
NO_POSITION = 0xFFFF << 24
WRITE, READ = {"s_axil_awvalid": 1, "s_axil_wvalid": 1}, {"s_axil_arvalid": 1}
WRITTEN, NEITHER = {"s_axil_awvalid": 0, "s_axil_wvalid": 0}, {"s_axil_arvalid": 0}
RECORD, LAST = {"m_axis_tvalid": 1, "m_axis_tlast": 0}, {"m_axis_tvalid": 1, "m_axis_tlast": 1}
READY = {
    f"{name}ready": 1 for name in ("s_axil_aw", "s_axil_w", "s_axil_b", "s_axil_ar", "s_axil_r", "s_axis_t", "m_axis_t")
}
HANDSHAKES = {"s_axil_aw": "addr", "s_axil_w": "data", "s_axil_ar": "addr", "s_axis_t": "data", "m_axis_t": "data"}

RIGHT: list[list[Values]] = [
    [WRITE, WRITTEN | {"s_axil_bvalid": 1}, {"s_axil_bvalid": 0}],
    [
        {"s_axil_awvalid": 1},
        {"s_axil_awvalid": 0, "s_axil_wvalid": 1},
        WRITTEN | {"s_axil_bvalid": 1, "s_axil_bresp": 2},
        {"s_axil_bvalid": 0},
    ],
    [READ, NEITHER | {"s_axil_rvalid": 1, "s_axil_rresp": 2}, {"s_axil_rvalid": 0}],
    [RECORD, LAST, {"m_axis_tvalid": 0}, {"irq": 1}],
    [LAST | {"m_axis_tdata": NO_POSITION}, RECORD | {"m_axis_tdata": 5}, LAST],
    [{"m_axis_tready": 0} | RECORD, {}, {}, {"m_axis_tready": 1}],
    [RECORD, {"rst": 1, "m_axis_tvalid": 0}, {}, {"rst": 0, "irq": 1}],
]

WRONG: list[list[Values]] = [
    *([{f"{name}ready": 0, f"{name}valid": 1}, {f"{name}valid": 0}] for name in HANDSHAKES),
    *([{f"{name}ready": 0, f"{name}valid": 1}, {f"{name}{payload}": 1}] for name, payload in HANDSHAKES.items()),
    *([{f"{name}_tready": 0, f"{name}_tvalid": 1}, {f"{name}_tid": 1}] for name in ("s_axis", "m_axis")),
    [RECORD | {"m_axis_tid": 1}],
    [RECORD, LAST | {"m_axis_tid": 1}],
    [{"m_axis_tready": 0} | RECORD, {"m_axis_tlast": 1}],
    [WRITE | {"s_axil_bready": 0}, WRITTEN | {"s_axil_bvalid": 1}, {"s_axil_bvalid": 0}],
    [WRITE | {"s_axil_bready": 0}, WRITTEN | {"s_axil_bvalid": 1}, {"s_axil_bresp": 2}],
    [READ | {"s_axil_rready": 0}, NEITHER | {"s_axil_rvalid": 1}, {"s_axil_rvalid": 0}],
    [READ | {"s_axil_rready": 0}, NEITHER | {"s_axil_rvalid": 1}, {"s_axil_rdata": 2}],
    [{"s_axil_bvalid": 1}],
    [{"s_axil_awvalid": 1}, {"s_axil_awvalid": 0, "s_axil_bvalid": 1}],
    [{"s_axil_wvalid": 1}, {"s_axil_wvalid": 0, "s_axil_bvalid": 1}],
    [{"s_axil_rvalid": 1}],
    [WRITE, WRITTEN | {"s_axil_bvalid": 1, "s_axil_bresp": 1}],
    [READ, NEITHER | {"s_axil_rvalid": 1, "s_axil_rresp": 3}],
    [{"irq": 1} | LAST],
    [RECORD, {"m_axis_tvalid": 0, "irq": 1}],
    [RECORD | {"m_axis_tdata": NO_POSITION}],
    [RECORD, LAST | {"m_axis_tdata": NO_POSITION}],
    [{"rst": 1, "m_axis_tvalid": 1}, {}],
]

UNKNOWN = [
    "irq",
    *(f"{name}{end}" for name in HANDSHAKES for end in ("valid", "ready")),
    "s_axil_bvalid",
    "s_axil_rready",
]


async def count(dut, story: list[Values]) -> int:
    """Violations that the checker finds in `story`, told a clock cycle an entry after a reset."""
    for name in PORTS:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    await FallingEdge(dut.clk)
    await FallingEdge(dut.clk)
    before = int(dut.violations.value)
    for values in [READY | {"rst": 0}, *story, {}]:
        for name, value in values.items():
            getattr(dut, name).value = value
        await FallingEdge(dut.clk)
    return int(dut.violations.value) - before


@cocotb.test()
async def tell_stories(dut) -> None:
    Clock(dut.clk, 2, "step").start()
    for story in RIGHT:
        assert await count(dut, story) == 0, story
    for story in WRONG:
        assert await count(dut, story) > 0, story


@cocotb.test()
async def tell_what_is_unknown(dut) -> None:
    if cocotb.SIM_NAME.startswith("Verilator"):
        return  # it knows no unknown value
    Clock(dut.clk, 2, "step").start()
    for name in UNKNOWN:
        assert await count(dut, [{name: LogicArray("X")}]) > 0, name
    for name in ("m_axis_tdata", "s_axil_rdata", "s_axil_bresp"):
        unknown = {name: LogicArray("X" * len(getattr(dut, name)))}
        valid = {f"{name[: name.rindex('_') + 2]}valid": 1}
        assert await count(dut, [READ | WRITE, NEITHER | WRITTEN | valid | unknown]) > 0, name
        assert await count(dut, [unknown]) == 0, name


@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=needs_icarus)])
def test_every_broken_rule_is_counted(simulator: str, tmp_path: Path) -> None:
    sources = [PROTOCOL_CHECKER]
    assert build_and_test(sources, "protocol_checker", __name__, tmp_path, None, QUICK_BUILD, simulator=simulator) == 0
