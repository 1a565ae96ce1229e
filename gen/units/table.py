"""Interpolated tables in hardware."""

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.text.constant_table import ConstantTable
from hardloom.gen.units.rounding import round_shift
from hardloom.golden.units.table import Table

__all__ = ["TableLookup"]


class TableLookup(Component):
    """`Table.compute`, combinational (latency 0).

    Parameters
    ----------
    name: of the function. table: specification.

    Attributes
    ----------
    x: unsigned, index_bits + fraction_bits, in.
    y: unsigned, as wide as the largest point, out.
    """

    def __init__(self, name: str, table: Table) -> None:
        self.name, self.table = name, table
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
        differences = [delta & ((1 << delta_width) - 1) for delta in table.delta]
        words = [[base | delta << len(self.y)] for base, delta in zip(table.base, differences, strict=True)]
        m.submodules.entries = entries = ConstantTable(self.name, words, entry.size, False, entry)
        index = Signal(table.index_bits)
        fraction = Signal(table.fraction_bits)
        m.d.comb += [
            index.eq(self.x[table.fraction_bits :]),
            fraction.eq(self.x),
            entries.index.eq(index),
            self.y.eq(entries.data.base + round_shift(entries.data.delta * fraction, table.fraction_bits)),
        ]
        return m
