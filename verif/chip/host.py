"""The host of a simulated chip: registers and prompts in through AXI, commit records out."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from cocotb.triggers import ClockCycles, First, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from hardloom.gen.design.axi_ports import NO_POSITION, commit_record
from hardloom.gen.design.registers import address, field
from hardloom.golden.samplers.machine import PROGRAM_WORDS
from hardloom.verif.chip.requests import Request

__all__ = ["CLOCK_STEPS", "Host"]

RECORD = commit_record()
START, ACKNOWLEDGE = field("CONTROL", "START").mask, field("CONTROL", "ACKNOWLEDGE").mask
ERROR, CODE = field("STATUS", "ERROR").mask, field("STATUS", "CODE").lsb
HAS_ENDED = field("ENDED", "VALID").mask
"""There is one, its slot in the bits below."""
CLOCK_STEPS = 2
"""Time steps of the simulation in a clock cycle."""
POLL = 16
"""Clock cycles from one look for packets to the next."""


def commits_of(frame: AxiStreamFrame) -> list[list[int]]:
    """Commits [position, token, spread] of a packet of records."""
    words = [int.from_bytes(frame.tdata[i : i + 8], "little") for i in range(0, len(frame.tdata), 8)]
    records: list[Any] = [RECORD.from_bits(word) for word in words]
    return [[r.position, r.token, r.spread] for r in records if r.position != NO_POSITION]


class Host:
    """Drives one chip: registers, prompt in, commit records out."""

    def __init__(self, dut) -> None:
        self.dut, self.slot = dut, 0
        self.programs: dict[tuple[int, ...], int] = {}
        self.started: dict[int, int] = {}
        self.busy = 0
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.host_rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.host_rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.host_rst)

    async def reset(self) -> None:
        """Reset the chip; the bus models are awake afterwards."""
        self.sleep()
        self.slot, self.programs, self.busy = 0, {}, 0
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

    async def choose(self, slot: int) -> None:
        """Registers are about `slot` from now on; a host that uses slot 0 alone writes nothing."""
        if slot != self.slot:
            await self.write("SLOT", slot)
        self.slot = slot

    async def load(self, words: tuple[int, ...]) -> int:
        """The register PROGRAM for a program, whose words are written unless the chip has them."""
        if words not in self.programs:
            free = sum(map(len, self.programs))
            if free + len(words) > PROGRAM_WORDS:  # those of the runs under way are not overwritten
                assert not self.busy, f"programs of runs at once have more than {PROGRAM_WORDS} words"
                self.programs, free = {}, 0
            await self.write("PROGRAM_ADDRESS", free)
            for word in words:
                await self.write("PROGRAM_WORD", word)
            self.programs[words] = free
        return self.programs[words] | len(words) << field("PROGRAM", "WORDS").lsb

    async def start(self, run: Request, slot: int = 0) -> None:
        """Prompt, registers, START."""
        prompt = b"".join(token.to_bytes(4, "little") for token in run["prompt"])
        if prompt:
            await self.source.send(AxiStreamFrame(prompt, tid=slot))
            await self.source.wait()
        await self.choose(slot)
        await self.write("PROMPT_LENGTH", len(run["prompt"]))
        await self.write("GEN_LENGTH", run["gen_length"])
        await self.write("PROGRAM", await self.load(tuple(run["program"])))
        await self.write("CONTROL", START)
        self.started[slot] = get_sim_time("step") // CLOCK_STEPS
        self.busy += 1

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
            yield commits_of(frame)

    async def serve(self, runs: list[Request], at_once: int) -> AsyncIterator[dict[str, Any]]:
        """Every run, at most `at_once` at a time in as many slots: lines of `verif.chip.requests.ChipJob`."""
        waiting, running = list(enumerate(runs))[::-1], dict[int, int]()
        for slot in range(min(at_once, len(runs))):
            running[slot], run = waiting.pop()
            await self.start(run, slot)
        while running:
            if at_once == 1:
                async for commits in self.steps():
                    yield {"run": running[0], "commits": commits}
            while not self.dut.irq.value:
                await ClockCycles(self.dut.clk, POLL)
                for slot, commits in self.packets():
                    yield {"run": running[slot], "commits": commits}
            ended = await self.read("ENDED")
            for slot, commits in self.packets():  # the last of the run that has ended among them
                yield {"run": running[slot], "commits": commits}
            if ended < HAS_ENDED:
                continue  # `irq` was that of a run that has been followed by another one
            ended %= HAS_ENDED
            await self.choose(ended)
            yield {"run": running.pop(ended), "started": self.started[ended], **await self.result()}
            if waiting:
                running[ended], run = waiting.pop()
                await self.start(run, ended)
            else:
                await self.write("CONTROL", ACKNOWLEDGE)

    def packets(self) -> Iterator[tuple[int, list[list[int]]]]:
        """Slot and commits of the denoising steps that have come."""
        while not self.sink.empty():
            frame = self.sink.recv_nowait()
            yield (frame.tid if isinstance(frame.tid, int) else frame.tid[0]), commits_of(frame)

    def check_protocol(self) -> None:
        """Raise AssertionError where a rule of the chip's ports was broken; the simulation's log says which."""
        violations = int(self.dut.violations.value)
        assert violations == 0, f"rules of the chip's ports were broken {violations} times, see `protocol` in this log"

    async def result(self) -> dict[str, int]:
        """Counters and error code after a run; raises as `check_protocol`."""
        self.check_protocol()
        self.busy -= 1
        status = await self.read("STATUS")
        return {
            "cycles": await self.read("CYCLES"),
            "forwards": await self.read("FORWARDS"),
            "saturations": await self.read("SATURATIONS"),
            "error": status >> CODE if status & ERROR else 0,
        }
