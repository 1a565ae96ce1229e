"""cocotb bench of the whole chip, driven through AXI: runs requests, writes what the chip committed.

Environment: HARDLOOM_REQUEST names a JSON file {"runs": [{"prompt", "gen_length", "block_length", "steps",
"spread_limit"}], "results": FILE}. A JSON line is written for each denoising step ({"run", "commits": [[position,
token, spread], ...]}) as it ends, and one for each run ({"run", "cycles", "forwards", "error"}).
"""

import json
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource

from gen.registers import address
from gen.units.sampler import NO_POSITION, commit_record

__all__ = ["Host", "run_requests"]

BUSY, ERROR = 1, 2
RECORD = commit_record()


class Host:
    """Drives one chip: registers, prompt in, commit records out."""

    def __init__(self, dut) -> None:
        self.dut = dut
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.host_clk, dut.rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.host_clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.host_clk, dut.rst)

    async def reset(self) -> None:
        self.dut.host_awake.value = 1
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 4)

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

    async def step(self) -> list[list[int]]:
        """Commits of the next denoising step: [position, token, spread] each."""
        frame = await self.sink.recv()
        words = [int.from_bytes(frame.tdata[i : i + 8], "little") for i in range(0, len(frame.tdata), 8)]
        records = [RECORD.from_bits(word) for word in words]
        return [[r.position, r.token, r.spread] for r in records if r.position != NO_POSITION]

    async def finish(self) -> dict:
        """Waits for the interrupt; counters and error code."""
        if not self.dut.irq.value:
            self.dut.host_awake.value = 0
            await RisingEdge(self.dut.irq)
        self.dut.host_awake.value = 1
        status = await self.read("STATUS")
        return {
            "cycles": await self.read("CYCLES"),
            "forwards": await self.read("FORWARDS"),
            "error": status >> 8 if status & ERROR else 0,
        }


async def _forward_steps(host: Host, number: int, write) -> None:
    while True:
        write({"run": number, "commits": await host.step()})


@cocotb.test()
async def run_requests(dut) -> None:
    """Every run of the request, in order, on one chip without a reset between them."""
    request = json.loads(Path(os.environ["HARDLOOM_REQUEST"]).read_text())
    cocotb.start_soon(Clock(dut.clk, 2, "step").start())
    host = Host(dut)
    await host.reset()
    with open(request["results"], "w") as results:

        def write(line: dict) -> None:
            results.write(json.dumps(line) + "\n")
            results.flush()

        for number, run in enumerate(request["runs"]):
            await host.start(run)
            steps = cocotb.start_soon(_forward_steps(host, number, write))
            end = await host.finish()
            await ClockCycles(dut.clk, 4)
            steps.cancel()
            write({"run": number, **end})
