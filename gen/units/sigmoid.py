"""Sigmoid of a fixed-point value, for SwiGLU and for routers."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import magnitude
from hardloom.gen.stream.component import Component
from hardloom.gen.units.table import TableLookup
from hardloom.golden.units.table import Sigmoid

__all__ = ["SigmoidLookup"]


class SigmoidLookup(Component):
    """`golden.units.table.Sigmoid`, combinational (latency 0).

    Parameters
    ----------
    spec: specification.
    width: bits of x.

    Attributes
    ----------
    x: signed, `spec.in_frac` fraction bits, in.
    y: unsigned, 0 to 1, `spec.frac` fraction bits and one more, out.
    """

    def __init__(self, spec: Sigmoid, width: int) -> None:
        self.spec, self.width = spec, width
        super().__init__({"x": In(signed(width)), "y": Out(spec.frac + 1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        one = 1 << spec.frac
        m.submodules.lookup = table = TableLookup("sigmoid", spec.table)
        size = Signal(self.width)
        positive = Signal(spec.frac + 1)
        m.d.comb += [
            size.eq(magnitude(self.x)),
            table.x.eq(size),
            positive.eq(Mux(size < (spec.limit << spec.in_frac), table.y, one)),
            self.y.eq(Mux(self.x < 0, one - positive, positive)),
        ]
        return m
