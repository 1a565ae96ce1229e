"""Reciprocal of a sum of exponentials, as mantissa and exponent."""

from amaranth.hdl import Module, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import bit_length
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, chain
from hardloom.gen.units.softmax import EXP_WIDTH
from hardloom.gen.units.table import TableLookup
from hardloom.golden.units.table import Reciprocal as ReciprocalSpec

__all__ = ["Reciprocal"]


class _Normalise(Stage):
    """Bit length, and the bits below the leading one."""

    def transform(self, m: Module, x, y) -> None:
        keep = len(y.mantissa) + 1
        shift = Signal(range(len(x.x)))
        m.d.comb += [
            y.bits.eq(bit_length(m, x.x)),
            shift.eq(y.bits - keep),
            y.mantissa.eq(x.x >> shift),
            y.carry.eq(x.carry),
        ]


class _Invert(Stage):
    """Table of the mantissa."""

    def __init__(self, spec: ReciprocalSpec, i_shape: data.StructLayout, o_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        m.submodules.lookup = table = TableLookup("reciprocal", self.spec.table)
        m.d.comb += [table.x.eq(x.mantissa), y.r.eq(table.y), y.bits.eq(x.bits), y.carry.eq(x.carry)]


class Reciprocal(Component):
    """`golden.units.table.Reciprocal`: 1 / x = r * 2^(-15 - bits).

    Latency 2 cycles, throughput 1 item a cycle.

    Parameters
    ----------
    spec: specification.
    width: bits of x, at least 17.
    carry: shape of what travels along.

    Attributes
    ----------
    i: stream of {`x`: unsigned, at least 2^15, `carry`}, in.
    o: stream of {`r`: unsigned, 17 bits, `bits`: bit length of x, `carry`}, out.
    """

    def __init__(self, spec: ReciprocalSpec, width: int, carry: ShapeLike) -> None:
        self.spec, self.carry = spec, carry
        self.bits = unsigned(width.bit_length())
        i_shape = data.StructLayout({"x": unsigned(width), "carry": carry})
        o_shape = data.StructLayout({"r": unsigned(EXP_WIDTH), "bits": self.bits, "carry": carry})
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        mantissa = unsigned(self.spec.table.index_bits + self.spec.table.fraction_bits)
        between = data.StructLayout({"bits": self.bits, "mantissa": mantissa, "carry": self.carry})
        m.submodules.normalise = normalise = _Normalise(self.i.payload.shape(), between)
        m.submodules.invert = invert = _Invert(self.spec, between, self.o.payload.shape())
        chain(m, wiring.flipped(self.i), normalise, invert, wiring.flipped(self.o))
        return m
