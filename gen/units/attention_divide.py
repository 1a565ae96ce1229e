"""Last part of attention: the sums of every pair over its denominator, one pair after the other."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import each
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.units.attention_mix import mixture
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.reciprocal import Reciprocal
from hardloom.gen.units.rounding import round_saturate
from hardloom.gen.units.softmax import EXP_WIDTH
from hardloom.golden.units.attention import Attention as AttentionSpec

__all__ = ["Divide"]


class _Multiply(Stage):
    """Sums times reciprocal."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += each(y.products, (num * x.r for num in x.num))
        m.d.comb += [y.shift.eq(x.bits + 15 - x.top), y.last.eq(x.last)]


class _Round(Stage):
    """To fixed point."""

    def __init__(self, spec: AttentionSpec, i_shape: data.StructLayout, o_shape: data.StructLayout, most: int) -> None:
        self.word, self.most = spec.word, most
        self.largest_scale = (1 << spec.value.scale_width) - 1
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        least = EXP_WIDTH + 15 - self.largest_scale
        for product, target in zip(x.products, y.data, strict=True):
            m.d.comb += target.eq(round_saturate(m, product, x.shift, self.word, least, self.most))
        m.d.comb += y.last.eq(x.last)


class Divide(Component):
    """out = num * 2^top / den of every pair, those of one query after those of the one before.

    Keeps the sums of a group while their reciprocals are looked up and the beats leave: head_dim / lanes cycles for
    each pair and 2 for the group, a beat in every cycle as long as there is one. Latency 5 cycles to the first beat.

    Attributes
    ----------
    i: stream of `mixture(sizes)`, in; pairs of queries behind `most` do not leave.
    o: stream of fixed-point beats, out; `last` with a position's last, or with the last of each group where positions
        are interleaved (`sizes`).
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "i": In(stream.Signature(mixture(sizes))),
                "o": Out(stream.Signature(beat(sizes.spec.word.width, sizes.lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        x = self.i.payload
        m.submodules.reciprocal = reciprocal = Reciprocal(sizes.spec.reciprocal, len(x.den[0]), x.tops[0].shape())
        element = x.num.shape().elem_shape.elem_shape
        num = data.ArrayLayout(element, sizes.lanes)
        multiply = self._multiply(m, num, reciprocal.o.payload)

        sums: Any
        occupied = Signal()
        left = Signal(range(sizes.pairs))
        sums = Signal(x.num.shape())
        given, leaving, take = Signal(), Signal(), Signal()
        m.d.comb += [
            take.eq(self.i.valid & self.i.ready),
            self.i.ready.eq(reciprocal.i.ready & (~occupied | leaving)),
            given.eq(multiply.i.valid & multiply.i.ready),
            multiply.i.payload.num.eq(sums.as_value()[: num.size]),
        ]
        closing = self._emit(m, reciprocal.o, given, left == 0, multiply.i)
        m.d.comb += leaving.eq(closing & (left == 0))
        behind = x.most * sizes.head_lanes + sizes.head_lanes - 1
        with m.If(take):
            m.d.sync += [sums.eq(x.num), occupied.eq(1), left.eq(behind)]
        with m.Elif(given):
            m.d.sync += sums.eq(sums.as_value() >> num.size)
            with m.If(closing):
                m.d.sync += [occupied.eq(left != 0), left.eq(left - 1)]
        self._invert(m, take, behind, reciprocal.i)
        return m

    def _multiply(self, m: Module, num: data.ArrayLayout, quotient) -> _Multiply:
        """Times the reciprocal, rounded, out."""
        spec, den = self.sizes.spec, self.i.payload.den[0]
        most, top = len(den) + 15, quotient.carry.shape()
        products = data.ArrayLayout(signed(num.elem_shape.width + EXP_WIDTH), self.sizes.lanes)
        selected = data.StructLayout({"num": num, "r": EXP_WIDTH, "bits": quotient.bits.shape(), "top": top, "last": 1})
        scaled = data.StructLayout({"products": products, "shift": signed(most.bit_length() + 1), "last": 1})
        m.submodules.multiply = multiply = _Multiply(selected, scaled)
        m.submodules.round = rounding = _Round(spec, scaled, self.o.payload.shape(), most)
        chain(m, multiply, rounding, wiring.flipped(self.o))
        return multiply

    def _invert(self, m: Module, take, behind, target) -> None:
        """The first denominator to its reciprocal as it comes, the others as soon as there is room."""
        x, sizes = self.i.payload, self.sizes
        item = len(target.payload.as_value())
        items = Cat(Cat(den, x.tops[sizes.key_lane(pair)]) for pair, den in enumerate(x.den))
        unsent = Signal(range(sizes.pairs))
        waiting = Signal(len(items) - item)
        m.d.comb += [
            target.valid.eq(take | (unsent != 0)),
            target.payload.as_value().eq(Mux(unsent != 0, waiting[:item], items[:item])),
        ]
        with m.If(take):
            m.d.sync += [waiting.eq(items[item:]), unsent.eq(behind)]
        with m.Elif((unsent != 0) & target.ready):
            m.d.sync += [waiting.eq(waiting[item:]), unsent.eq(unsent - 1)]

    def _emit(self, m: Module, source, given, ending, target) -> Signal:
        """Give the reciprocal with each beat of its sums; high with the last of them. ending: the group's last pair."""
        beats, heads = self.sizes.beats, self.sizes.heads
        index, closing = Signal(range(beats)), Signal()
        m.d.comb += [
            target.valid.eq(source.valid),
            closing.eq(given & (index == beats - 1)),
            source.ready.eq(closing),
            target.payload.r.eq(source.payload.r),
            target.payload.bits.eq(source.payload.bits),
            target.payload.top.eq(source.payload.carry),
        ]
        with m.If(given):
            m.d.sync += index.eq(Mux(closing, 0, index + 1))
        if not self.sizes.interleaved:
            head = Signal(range(heads))
            ending = head == heads - 1
            with m.If(closing):
                m.d.sync += head.eq(Mux(ending, 0, head + 1))
        m.d.comb += target.payload.last.eq(ending & (index == beats - 1))
        return closing
