"""AXI4-Lite to the register table."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from gen.design.axi_ports import AXI_LITE
from gen.design.registers import REGISTERS
from gen.stream.component import Component

__all__ = ["OKAY", "SLAVE_ERROR", "AxiLiteRegisters"]

OKAY, SLAVE_ERROR = 0, 2


class AxiLiteRegisters(Component):
    """One access at a time; a write takes 2 cycles, a read 2. Byte strobes are honoured.

    An unknown address, or a write to a read-only register, is answered SLVERR and changes nothing.

    Attributes
    ----------
    awaddr ... rready: `AXI_LITE`.
    write_NAME: value of a `rw` register, out; strobe_NAME: high for one cycle when it was just written, out.
    read_NAME: value of an `ro` register, in.
    """

    def __init__(self) -> None:
        ports = dict(AXI_LITE)
        for r in REGISTERS:
            if r.access == "rw":
                ports |= {f"write_{r.name.lower()}": Out(r.width), f"strobe_{r.name.lower()}": Out(1)}
            else:
                ports[f"read_{r.name.lower()}"] = In(r.width)
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        self._write(m)
        self._read(m)
        return m

    def _write(self, m: Module) -> None:
        take = Signal()
        m.d.comb += [
            take.eq(self.awvalid & self.wvalid & ~self.bvalid),
            self.awready.eq(take),
            self.wready.eq(take),
        ]
        with m.If(self.bvalid & self.bready):
            m.d.sync += self.bvalid.eq(0)
        writable = [r for r in REGISTERS if r.access == "rw"]
        m.d.sync += [getattr(self, f"strobe_{r.name.lower()}").eq(0) for r in writable]
        with m.If(take):
            m.d.sync += [self.bvalid.eq(1), self.bresp.eq(SLAVE_ERROR)]
            for r in writable:
                with m.If(self.awaddr == r.address):
                    m.d.sync += [self.bresp.eq(OKAY), getattr(self, f"strobe_{r.name.lower()}").eq(1)]
                    value = getattr(self, f"write_{r.name.lower()}")
                    for byte in range((r.width + 7) // 8):
                        with m.If(self.wstrb[byte]):
                            bits = slice(8 * byte, min(8 * byte + 8, r.width))
                            m.d.sync += value[bits].eq(self.wdata[bits])

    def _read(self, m: Module) -> None:
        take = Signal()
        m.d.comb += [take.eq(self.arvalid & ~self.rvalid), self.arready.eq(take)]
        with m.If(self.rvalid & self.rready):
            m.d.sync += self.rvalid.eq(0)
        with m.If(take):
            m.d.sync += [self.rvalid.eq(1), self.rresp.eq(SLAVE_ERROR), self.rdata.eq(0)]
            for r in REGISTERS:
                source = getattr(self, f"write_{r.name.lower()}" if r.access == "rw" else f"read_{r.name.lower()}")
                with m.If(self.araddr == r.address):
                    m.d.sync += [self.rresp.eq(OKAY), self.rdata.eq(0 if r.name == "CONTROL" else source)]
