"""The chip through its host ports alone: its registers, and prompts whose answers are in `expected.json`."""

import json
from pathlib import Path

import cocotb
import hardloom_registers as registers
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())
ADAPTER = Path(__file__).parent / "adapter.json"
"""Addresses and words of the adapter with which prompts are answered, where there is one."""
PERIOD_NS = 10
PATIENCE = 10_000_000
"""Clock cycles that a denoising step may take."""


class Host:
    """What stands around a chip: a clock, a bus, a stream each way, and the driver on the bus."""

    def __init__(self, dut) -> None:
        self.dut = dut
        Clock(dut.clk, PERIOD_NS, unit="ns").start()
        self.bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.prompts = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.records = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        self.chip = registers.Chip(self.bus.read_dword, self.bus.write_dword)

    async def reset(self) -> None:
        self.dut.test_enable.value = 0
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def step(self) -> list[list[int]]:
        """Records [position, token, spread] of the next denoising step."""
        frame = await with_timeout(self.records.recv(), PATIENCE * PERIOD_NS, "ns")
        words = [int.from_bytes(frame.tdata[at : at + 8], "little") for at in range(0, len(frame.tdata), 8)]
        return [list(found) for found in map(registers.record, words) if found]


@cocotb.test()
async def registers_read_what_they_must(dut) -> None:
    """Those that are fixed, and those that hold what is written; what may not be written is answered SLVERR."""
    host = Host(dut)
    await host.reset()
    for register in registers.REGISTERS:
        if register.fixed is not None:
            assert register.fixed == EXPECTED["fixed"][register.name]
            assert (await host.chip.get(register))["VALUE"] == register.fixed, register.name
        if register.access == "ro":
            answer = await host.bus.write(register.address, bytes(4))
            assert answer.resp == AxiResp.SLVERR, register.name
    for register in (registers.PROMPT_LENGTH, registers.GEN_LENGTH):
        await host.chip.set(register, VALUE=0xA5C3)
        assert (await host.chip.get(register))["VALUE"] == 0xA5C3, register.name
    assert (await host.bus.read(0xFC, 4)).resp == AxiResp.SLVERR


@cocotb.test()
async def a_run_of_no_length_is_refused(dut) -> None:
    host = Host(dut)
    await host.reset()
    await host.chip.start(0, 0, words=1)
    await with_timeout(RisingEdge(dut.irq), PATIENCE * PERIOD_NS, "ns")
    status = await host.chip.get(registers.STATUS)
    assert status["ERROR"] == 1 and status["CODE"] == registers.ErrorCode.LENGTH


@cocotb.test()
async def prompts_are_answered_as_expected(dut) -> None:
    """Every record of every step, the tokens that they make, and the counters."""
    host = Host(dut)
    await host.reset()
    if ADAPTER.exists():
        await host.chip.load_adapter(json.loads(ADAPTER.read_text()))
    for run in EXPECTED["runs"]:
        prompt = b"".join(token.to_bytes(4, "little") for token in run["prompt"])
        await host.prompts.send(AxiStreamFrame(prompt, tid=0))
        await host.prompts.wait()
        await host.chip.load(run["program"])
        await host.chip.start(len(run["prompt"]), run["gen_length"], words=len(run["program"]))
        tokens = run["prompt"] + [registers.MASK_TOKEN.fixed] * run["gen_length"]
        for number, expected in enumerate(run["steps"]):
            records = await host.step()
            assert records == expected, f"step {number}: {records} are not {expected}"
            for position, token, _ in records:
                tokens[position] = token
        if not dut.irq.value:
            await with_timeout(RisingEdge(dut.irq), PATIENCE * PERIOD_NS, "ns")
        assert host.records.empty(), "there are more steps than expected"
        assert tokens == run["tokens"], f"{tokens} are not {run['tokens']}"
        result = await host.chip.result()
        assert result["DONE"] == 1 and result["ERROR"] == 0 and result["BUSY"] == 0, result
        assert result["FORWARDS"] == len(run["steps"]), result
        dut._log.info("%d steps in %d cycles: %s", len(run["steps"]), result["CYCLES"], tokens)
