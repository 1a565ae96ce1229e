"""Interpolated tables in hardware."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.units.rounding import round_shift
from golden.units.table import Table

__all__ = ["TableLookup"]


class TableLookup(Component):
    """`Table.compute`, combinational (latency 0).

    Parameters
    ----------
    table: specification.

    Attributes
    ----------
    x: unsigned, index_bits + fraction_bits, in.
    y: unsigned, as wide as the largest point, out.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        super().__init__(
            {
                "x": In(table.index_bits + table.fraction_bits),
                "y": Out(max(table.points).bit_length()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        table = self.table
        delta_width = max(abs(d) for d in table.delta).bit_length() + 1
        entry = data.StructLayout({"base": unsigned(len(self.y)), "delta": signed(delta_width)})
        rows = [{"base": b, "delta": d} for b, d in zip(table.base, table.delta, strict=True)]
        entries: memory.Memory
        m.submodules.entries = entries = memory.Memory(shape=entry, depth=len(rows), init=rows)
        port = entries.read_port(domain="comb")
        index = Signal(table.index_bits)
        fraction = Signal(table.fraction_bits)
        m.d.comb += [
            index.eq(self.x[table.fraction_bits :]),
            fraction.eq(self.x),
            port.addr.eq(index),
            self.y.eq(port.data.base + round_shift(port.data.delta * fraction, table.fraction_bits)),
        ]
        return m
