"""Bench of `gen.units.axi_lite`: five channels at a pace of their own."""

import itertools
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from torch import Generator

from hardloom.gen.design.axi_ports import ADDRESS_WIDTH
from hardloom.gen.design.registers import REGISTERS
from hardloom.gen.stream.component import Component
from hardloom.gen.units.axi_lite import OKAY, SLAVE_ERROR, AxiLiteRegisters
from hardloom.verif.streams.bench import Case, Packet, Stimulus
from hardloom.verif.streams.stimulus import integers

__all__ = ["CASES"]

WRITABLE = [r for r in REGISTERS if r.access != "ro"]
READABLE = [r for r in REGISTERS if r.access == "ro"]
LARGEST = {"SLOT": 5}
"""Of a chip of six slots."""
STROBES = len(WRITABLE)
TURN = 16
ADDRESS = data.StructLayout({"address": ADDRESS_WIDTH, "behind": TURN})
"""`behind`: accesses of the other direction that must have been answered before this one is offered."""
DATA = data.StructLayout({"data": 32, "strobe": 4})
WRITTEN = data.StructLayout({"response": 2, "strobes": STROBES, "pulses": 4, "value": 32})
"""A write's answer, with the strobes that came with it, for how many cycles, and what the register then holds."""
READ = data.StructLayout({"response": 2, "data": 32})


class Channels(Component):
    """The registers with a stream for every AXI channel, and a port for every read-only register's value."""

    def __init__(self, unit: AxiLiteRegisters) -> None:
        self.unit = unit
        members: dict[str, Any] = {f"read_{r.name.lower()}": In(r.width) for r in READABLE}
        inward, outward = {"aw": ADDRESS, "w": DATA, "ar": ADDRESS}, {"b": WRITTEN, "r": READ}
        members |= {name: In(stream.Signature(shape)) for name, shape in inward.items()}
        members |= {name: Out(stream.Signature(shape)) for name, shape in outward.items()}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        names = [f"read_{r.name.lower()}" for r in READABLE]
        m.d.comb += [getattr(unit, name).eq(getattr(self, name)) for name in names]
        writes, reads = Signal(TURN), Signal(TURN)
        for channel, turn in ((self.aw, reads), (self.ar, writes)):
            prefix = "aw" if channel is self.aw else "ar"
            open_ = Signal(name=f"open_{prefix}")
            valid, ready = getattr(unit, prefix + "valid"), getattr(unit, prefix + "ready")
            m.d.comb += [
                open_.eq(turn >= channel.payload.behind),
                getattr(unit, prefix + "addr").eq(channel.payload.address),
                valid.eq(channel.valid & open_),
                channel.ready.eq(ready & open_),
            ]
        m.d.comb += [
            unit.wdata.eq(self.w.payload.data),
            unit.wstrb.eq(self.w.payload.strobe),
            unit.wvalid.eq(self.w.valid),
            self.w.ready.eq(unit.wready),
        ]
        self._answers(m, unit, writes, reads)
        return m

    def _answers(self, m: Module, unit: AxiLiteRegisters, writes: Signal, reads: Signal) -> None:
        """Strobes are counted from the write on until its answer is taken: one pulse, with the answer or before it."""
        now = Cat(getattr(unit, f"strobe_{r.name.lower()}") for r in WRITABLE)
        seen, pulses, value = Signal(STROBES), Signal(4), Signal(32)
        for k, r in enumerate(WRITABLE):
            written = getattr(unit, f"write_{r.name.lower()}")
            kept = Signal.like(written, name=f"kept_{r.name.lower()}")  # of a command, which is not held
            with m.If(now[k]):
                m.d.sync += kept.eq(written)
            with m.If((now | seen)[k]):
                m.d.comb += value.eq(Mux(now[k], written, kept))
        m.d.comb += [
            self.b.valid.eq(unit.bvalid),
            unit.bready.eq(self.b.ready),
            self.b.payload.response.eq(unit.bresp),
            self.b.payload.strobes.eq(now | seen),
            self.b.payload.pulses.eq(pulses + now.any()),
            self.b.payload.value.eq(value),
            self.r.valid.eq(unit.rvalid),
            unit.rready.eq(self.r.ready),
            self.r.payload.response.eq(unit.rresp),
            self.r.payload.data.eq(unit.rdata),
        ]
        given = self.b.valid & self.b.ready
        m.d.sync += [
            seen.eq(Mux(given, 0, now | seen)),
            pulses.eq(Mux(given, 0, pulses + now.any())),
            writes.eq(writes + given),
            reads.eq(reads + (self.r.valid & self.r.ready)),
        ]


class Table:
    """The registers as the host sees them, and what was sent so far."""

    def __init__(self, generator: Generator) -> None:
        self.generator, self.held = generator, {r.name: 0 for r in WRITABLE}
        self.constants = {f"read_{r.name.lower()}": self.draw(0, (1 << r.width) - 1) for r in READABLE}
        self.by_address = {r.address: r for r in REGISTERS}
        self.inputs: dict[str, list[Packet]] = {"aw": [], "w": [], "ar": []}
        self.outputs: dict[str, list[Packet]] = {"b": [], "r": []}

    def draw(self, low: int, high: int) -> int:
        return int(integers(self.generator, low, high, ()))

    def write(self, address: int, value: int, strobe: int, behind: int) -> None:
        self.inputs["aw"].append([{"address": address, "behind": behind}])
        self.inputs["w"].append([{"data": value, "strobe": strobe}])
        register = self.by_address.get(address)
        if register is None or register.access == "ro":
            self.outputs["b"].append([{"response": SLAVE_ERROR}])
            return
        mask = sum(0xFF << 8 * k for k in range(4) if strobe >> k & 1)
        if value & mask > LARGEST.get(register.name, (1 << register.width) - 1):
            self.outputs["b"].append([{"response": SLAVE_ERROR}])
            return
        old = self.held[register.name]
        new = self.held[register.name] = old & ~mask | value & mask
        if not mask & ((1 << register.width) - 1):
            self.outputs["b"].append([{"response": OKAY, "strobes": 0, "pulses": 0}])
            return
        place = 1 << WRITABLE.index(register)
        self.outputs["b"].append([{"response": OKAY, "strobes": place, "pulses": 1, "value": new}])
        if register.access == "wo":
            self.held[register.name] = 0

    def read(self, address: int, behind: int) -> None:
        self.inputs["ar"].append([{"address": address, "behind": behind}])
        register = self.by_address.get(address)
        if register is None:
            self.outputs["r"].append([{"response": SLAVE_ERROR, "data": 0}])
        elif register.access == "ro":
            value = self.constants[f"read_{register.name.lower()}"]
            self.outputs["r"].append([{"response": OKAY, "data": value}])
        else:
            self.outputs["r"].append([{"response": OKAY, "data": self.held[register.name]}])

    def group(self, writes: list[tuple[int, int, int]], reads: list[int]) -> None:
        """Writes (address, value, strobe) and reads of other registers, at the same time; all behind the last group."""
        after_writes, after_reads = len(self.inputs["aw"]), len(self.inputs["ar"])
        for address in reads:
            self.read(address, after_writes)
        for address, value, strobe in writes:
            self.write(address, value, strobe, after_reads)


def _random(table: Table) -> None:
    """Groups of up to three accesses each way, anywhere: registers, gaps between them, addresses past the last."""
    for _ in range(30):
        places = [table.draw(0, 0x47) for _ in range(table.draw(0, 3))]
        writes = [(p, table.draw(0, (1 << table.draw(0, 32)) - 1), table.draw(0, 15)) for p in places]
        elsewhere = [p for p in (table.draw(0, 17) * 4 for _ in range(3)) if p not in places]
        table.group(writes, elsewhere[: table.draw(0, 3)])


def _corners(table: Table) -> None:
    """Every address written with ones and read back; every strobe of every register, values that fit and not."""
    for value in ((1 << 32) - 1, 0, 0x5A5A5A5A):
        for address in range(1 << ADDRESS_WIDTH):
            if address < 0x48 or address % 16 in (0, 4):
                table.group([(address, value, 15)], [])
                table.group([], [address])
    for register, strobe, width in itertools.product(WRITABLE, range(16), (None, 0, 8, 24, 31)):
        most = LARGEST.get(register.name, (1 << register.width) - 1)
        value = table.draw(0, most) if width is None else 1 << width
        table.group([(register.address, value, strobe)], [])
        table.group([], [register.address])


def _stimulus(generator: Generator, kind: str) -> Stimulus:
    table = Table(generator)
    (_corners if kind == "corners" else _random)(table)
    accesses = len(table.inputs["aw"]) + len(table.inputs["ar"])
    turn = 3 if kind == "corners" else 2  # there each waits for the answer of the one before
    return Stimulus(table.inputs, table.outputs, table.constants, cycles=turn * accesses)


CASES = [Case("axi_lite", lambda: Channels(AxiLiteRegisters(LARGEST)), _stimulus, 0)]
