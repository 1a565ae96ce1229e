"""AXI4-Lite to the register table."""

from collections.abc import Mapping, Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.axi_ports import AXI_LITE
from hardloom.gen.design.registers import REGISTERS, Register
from hardloom.gen.stream.component import Component

__all__ = ["OKAY", "SLAVE_ERROR", "AxiLiteRegisters"]

OKAY, SLAVE_ERROR = 0, 2


class AxiLiteRegisters(Component):
    """An access takes 2 cycles in each direction: what came is held in one and answered in the next.

    No output depends on an input of the same cycle. A write is answered SLVERR and changes nothing where the address is
    unknown or of a read-only register, or where what is strobed exceeds the register's width or its `largest` value. A
    write without a strobe on any of the register's bytes is answered OKAY and does nothing, not even `strobe_NAME`. A
    read of an unknown address is answered SLVERR.

    Parameters
    ----------
    largest: value that is taken, by register, of those that do not take all of their width.
    registers: that there are.

    Attributes
    ----------
    awaddr ... rready: `AXI_LITE`.
    write_NAME: value of a register that can be written, out; of a command (`wo`) for one cycle, then 0.
    strobe_NAME: high for one cycle when it was just written, out.
    read_NAME: value of an `ro` register, in.
    """

    def __init__(self, largest: Mapping[str, int], registers: Sequence[Register] = REGISTERS) -> None:
        self.largest, self.registers = largest, registers
        ports = dict(AXI_LITE)
        for r in registers:
            if r.access == "ro":
                ports[f"read_{r.name.lower()}"] = In(r.width)
            else:
                ports |= {f"write_{r.name.lower()}": Out(r.width), f"strobe_{r.name.lower()}": Out(1)}
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _hold(self, m: Module, channel: str, signals: tuple[str, ...], done: Signal) -> tuple[Signal, list[Signal]]:
        """Takes `signals` of a channel and holds them until `done`: whether they are there, and they."""
        valid, ready = getattr(self, f"{channel}valid"), getattr(self, f"{channel}ready")
        held = [Signal.like(getattr(self, name), name=f"held_{name}") for name in signals]
        full = Signal(name=f"{channel}_full")
        m.d.comb += ready.eq(~full)
        with m.If(done):
            m.d.sync += full.eq(0)
        with m.Elif(valid & ready):
            m.d.sync += [full.eq(1), *(kept.eq(getattr(self, name)) for kept, name in zip(held, signals, strict=True))]
        return full, held

    def _write(self, m: Module) -> None:
        """Address and data come in any order; done when both are there and the answer before is taken."""
        write = Signal()
        addressed, (address,) = self._hold(m, "aw", ("awaddr",), write)
        given, (value, strobes) = self._hold(m, "w", ("wdata", "wstrb"), write)
        m.d.comb += write.eq(addressed & given & (~self.bvalid | self.bready))
        writable = [r for r in self.registers if r.access != "ro"]
        m.d.sync += [getattr(self, f"strobe_{r.name.lower()}").eq(0) for r in writable]
        m.d.sync += [getattr(self, f"write_{r.name.lower()}").eq(0) for r in writable if r.access == "wo"]
        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [self.bvalid.eq(1), self.bresp.eq(SLAVE_ERROR)]
            for r in writable:
                with m.If(address == r.address):
                    self._store(m, r, value, strobes)

    def _store(self, m: Module, r: Register, value: Signal, strobes: Signal) -> None:
        """The strobed bytes of `value` into register `r`, unless they do not fit."""
        kept, count = getattr(self, f"write_{r.name.lower()}"), -(-r.width // 8)
        mask = Cat(strobe.replicate(8) for strobe in strobes)
        given = value & mask
        fits = ~given[r.width :].any()
        if self.largest.get(r.name, (1 << r.width) - 1) < (1 << r.width) - 1:
            fits &= given[: r.width] <= self.largest[r.name]
        with m.If(fits):
            m.d.sync += [self.bresp.eq(OKAY), getattr(self, f"strobe_{r.name.lower()}").eq(strobes[:count].any())]
            for byte in range(count):
                with m.If(strobes[byte]):
                    bits = slice(8 * byte, min(8 * byte + 8, r.width))
                    m.d.sync += kept[bits].eq(value[bits])

    def _read(self, m: Module) -> None:
        read = Signal()
        addressed, (address,) = self._hold(m, "ar", ("araddr",), read)
        m.d.comb += read.eq(addressed & (~self.rvalid | self.rready))
        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)
        with m.If(read):
            m.d.sync += [self.rvalid.eq(1), self.rresp.eq(SLAVE_ERROR), self.rdata.eq(0)]
            for r in self.registers:
                source = getattr(self, f"{'read' if r.access == 'ro' else 'write'}_{r.name.lower()}")
                with m.If(address == r.address):
                    m.d.sync += [self.rresp.eq(OKAY), self.rdata.eq(0 if r.access == "wo" else source)]
