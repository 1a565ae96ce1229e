"""The spread of a token that was drawn: a sum of exponentials, and which of them is the token's own."""

from amaranth.hdl import Const, Module, Mux
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, chain
from hardloom.gen.units.reciprocal import Reciprocal
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.softmax import EXP_WIDTH
from hardloom.golden.units.table import Reciprocal as ReciprocalSpec

__all__ = ["Share"]

RAISED = EXP_WIDTH - 1
"""By so many bits an exponential is shifted to the left, so that the least, 1, is one that `Reciprocal` takes."""


class _Product(Stage):
    """The sum times the reciprocal, yet to be shifted."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [
            y.token.eq(x.carry.token),
            y.product.eq(x.carry.spread * x.r),
            y.shift.eq(x.bits - (RAISED + 1)),
        ]


class _Shifted(Stage):
    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.token.eq(x.token), y.spread.eq(round_shift(x.product, x.shift))]


class Share(Component):
    """S of `golden.units.argmax.Argmax` with noise: the sum over the exponential of the token, at least 1.

    Latency 4 cycles, throughput 1 item a cycle.

    Attributes
    ----------
    i: stream of {`token`: {`token`, `chosen`: its exponential}, `spread`: the sum}, in.
    o: stream of `gen.units.argmax.prediction`, out.
    """

    def __init__(self, spec: ReciprocalSpec, i_shape: data.StructLayout, o_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m, o_shape, given = Module(), self.o.payload.shape().members, self.i.payload
        spread, token = given.spread.shape(), o_shape["token"]
        carry = data.StructLayout({"token": token, "spread": spread})
        m.submodules.reciprocal = reciprocal = Reciprocal(self.spec, EXP_WIDTH + RAISED, carry)
        shape = data.StructLayout({"token": token, "product": spread.width + EXP_WIDTH, "shift": range(EXP_WIDTH)})
        m.submodules.product = product = _Product(reciprocal.o.payload.shape(), shape)
        m.submodules.shifted = shifted = _Shifted(shape, self.o.payload.shape())
        chosen = Mux(given.token.chosen == 0, Const(1), given.token.chosen)
        m.d.comb += [
            reciprocal.i.valid.eq(self.i.valid),
            self.i.ready.eq(reciprocal.i.ready),
            reciprocal.i.payload.x.eq(chosen << RAISED),
            reciprocal.i.payload.carry.token.eq(given.token.token),
            reciprocal.i.payload.carry.spread.eq(given.spread),
        ]
        chain(m, reciprocal, product, shifted, wiring.flipped(self.o))
        return m
