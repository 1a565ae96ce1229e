"""cocotb bench of the whole chip, driven through AXI: runs requests, writes what the chip committed.

Environment: HARDLOOM_REQUEST names a JSON file {"runs": [{"prompt", "gen_length", "block_length", "steps",
"spread_limit"}], "results": FILE}. A JSON line is written for each denoising step ({"run", "commits": [[position,
token, spread], ...]}) as it ends, and one for each run ({"run", "cycles", "forwards", "error"}).
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource

from gen.design.axi_ports import NO_POSITION, commit_record
from gen.design.registers import address

__all__ = ["Host", "run_requests"]

ERROR = 2
RECORD = commit_record()


class Host:
    """Drives one chip: registers, prompt in, commit records out."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.host_rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.host_rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.host_rst)

    async def reset(self) -> None:
        """Reset the chip; the bus models are awake afterwards."""
        self.sleep()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await self.wake()

    def sleep(self) -> None:
        """Stop the bus models, which otherwise look at every clock edge; not within a frame or an access."""
        self.dut.host_rst.value = 1

    async def wake(self) -> None:
        self.dut.host_rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    async def read(self, name: str) -> int:
        return await self.registers.read_dword(address(name))

    async def write(self, name: str, value: int) -> None:
        await self.registers.write_dword(address(name), value)

    async def start(self, run: dict) -> None:
        """Prompt, registers, START."""
        prompt = b"".join(token.to_bytes(4, "little") for token in run["prompt"])
        if prompt:
            await self.source.send(prompt)
            await self.source.wait()
        await self.write("PROMPT_LENGTH", len(run["prompt"]))
        for name in ("gen_length", "block_length", "steps", "spread_limit"):
            await self.write(name.upper(), run[name])
        await self.write("CONTROL", 1)

    async def steps(self) -> AsyncIterator[list[list[int]]]:
        """Commits [position, token, spread] of every denoising step until the run ends, asleep in between."""
        while True:
            self.sleep()
            while not (self.dut.m_axis_tvalid.value or self.dut.irq.value):
                await First(RisingEdge(self.dut.m_axis_tvalid), RisingEdge(self.dut.irq))
            await self.wake()
            if self.sink.empty() and not self.dut.m_axis_tvalid.value:
                if self.dut.irq.value:
                    return
                continue
            frame = await self.sink.recv()
            words = [int.from_bytes(frame.tdata[i : i + 8], "little") for i in range(0, len(frame.tdata), 8)]
            records: list[Any] = [RECORD.from_bits(word) for word in words]
            yield [[r.position, r.token, r.spread] for r in records if r.position != NO_POSITION]

    async def result(self) -> dict[str, int]:
        """Counters and error code after a run."""
        status = await self.read("STATUS")
        return {
            "cycles": await self.read("CYCLES"),
            "forwards": await self.read("FORWARDS"),
            "error": status >> 8 if status & ERROR else 0,
        }


@cocotb.test()
async def run_requests(dut) -> None:
    """Every run of the request, in order, on one chip without a reset between them."""
    request = json.loads(Path(os.environ["HARDLOOM_REQUEST"]).read_text())
    Clock(dut.clk, 2, "step").start()
    host = Host(dut)
    await host.reset()
    with open(request["results"], "w") as results:

        def write(line: dict) -> None:
            results.write(json.dumps(line) + "\n")
            results.flush()

        for number, run in enumerate(request["runs"]):
            await host.start(run)
            async for commits in host.steps():
                write({"run": number, "commits": commits})
            write({"run": number, **await host.result()})
