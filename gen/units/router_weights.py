"""Weights of a token's experts: their scores renormalised, scaled and rounded, one a cycle."""

from amaranth.hdl import Const, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.reciprocal import Reciprocal
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.softmax import EXP_WIDTH
from hardloom.golden.units.router import SCALE_FRAC
from hardloom.golden.units.router import Router as RouterSpec

__all__ = ["Scaled", "Weights", "choice_of"]

AHEAD = 15
"""Bits by which a sum goes up, so that the smallest, 1, has as many as `gen.units.reciprocal` wants."""


def choice_of(spec: RouterSpec, weight: Shape) -> data.StructLayout:
    """A token's experts, best first: `experts`, their numbers, and `weights`, `weight` each, 65536 = 1."""
    number = unsigned(index_width(spec.num_experts))
    return data.StructLayout(
        {"experts": data.ArrayLayout(number, spec.top_k), "weights": data.ArrayLayout(weight, spec.top_k)}
    )


class _Sum(Stage):
    """The sum of a token's scores, at least 1."""

    def transform(self, m: Module, x, y) -> None:
        total = Signal(len(y.x) - AHEAD)
        m.d.comb += [total.eq(sum(x.weights)), y.x.eq(Mux(total == 0, 1, total) << AHEAD), y.carry.eq(x)]


class _Single(Component):
    """A token's choice to its experts, one a cycle, `r` and `shift` with each. Latency 0."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, top_k: int) -> None:
        self.top_k = top_k
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, y = self.i.payload, self.o.payload
        place = Signal(range(self.top_k))
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & y.last),
            y.expert.eq(x.choice.experts[place]),
            y.score.eq(x.choice.weights[place]),
            y.r.eq(x.r),
            y.shift.eq(x.shift),
            y.last.eq(place == self.top_k - 1),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += place.eq(Mux(y.last, 0, place + 1))
        return m


class _Times(Stage):
    """Score times what it is divided by."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.product.eq(x.score * x.r), y.shift.eq(x.shift)]
        m.d.comb += [y.expert.eq(x.expert), y.last.eq(x.last)]


class _Round(Stage):
    """That times the model's factor, rounded once."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, scale: int) -> None:
        self.scale = scale
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [
            y.weight.eq(round_shift(x.product * self.scale, x.shift)),
            y.expert.eq(x.expert),
            y.last.eq(x.last),
        ]


class _Gather(Component):
    """Experts one a cycle to a token's choice. Latency 1."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, top_k: int) -> None:
        self.top_k = top_k
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, o = self.i.payload, self.o
        place = Signal(range(self.top_k))
        m.d.comb += self.i.ready.eq(~o.valid | o.ready)
        with m.If(self.i.ready):
            m.d.sync += o.valid.eq(self.i.valid & x.last)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                o.payload.experts[place].eq(x.expert),
                o.payload.weights[place].eq(x.weight),
                place.eq(Mux(x.last, 0, place + 1)),
            ]
        return m


class Scaled(Stage):
    """`golden.units.router.Router.weights`, scaled and not renormalised: a choice with scores in, with weights out.

    Latency 1 cycle, one token a cycle.
    """

    def __init__(self, spec: RouterSpec, score: Shape, weight: Shape) -> None:
        self.scale = round(spec.scale * (1 << SCALE_FRAC))
        super().__init__(choice_of(spec, score), choice_of(spec, weight))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.experts.eq(x.experts)
        for score, weight in zip(x.weights, y.weights, strict=True):
            m.d.comb += weight.eq(round_shift(score * self.scale, Const(SCALE_FRAC)))


class Weights(Component):
    """`golden.units.router.Router.weights`, renormalised: a choice with scores in, the choice with weights out.

    Latency `top_k` + 5 cycles; one token in `top_k` cycles.

    Attributes
    ----------
    i, o: streams of `choice_of(spec, score)` and `choice_of(spec, weight)`, in and out.
    """

    def __init__(self, spec: RouterSpec, score: Shape, weight: Shape) -> None:
        self.spec = spec
        i_shape, o_shape = choice_of(spec, score), choice_of(spec, weight)
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, choice = self.spec, self.i.payload.shape()
        width = EXP_WIDTH + (spec.top_k - 1).bit_length() + AHEAD
        m.submodules.sum = total = _Sum(choice, data.StructLayout({"x": unsigned(width), "carry": choice}))
        m.submodules.reciprocal = reciprocal = Reciprocal(spec.reciprocal, width, choice)
        self._multiply(m, reciprocal.o)
        chain(m, wiring.flipped(self.i), total, reciprocal)
        return m

    def _multiply(self, m: Module, source) -> None:
        """Scores with what they are divided by to weights."""
        spec, divisor = self.spec, source.payload
        members = self.o.payload.shape().members
        ends = {"expert": members["experts"].elem_shape, "last": unsigned(1)}
        factor = {"r": divisor.r.shape(), "shift": unsigned(divisor.bits.shape().width)}
        score = divisor.carry.weights.shape().elem_shape
        single = data.StructLayout({"score": score, **factor, **ends})
        product = data.StructLayout({"product": unsigned(2 * EXP_WIDTH), "shift": factor["shift"], **ends})
        weighted = data.StructLayout({"weight": members["weights"].elem_shape, **ends})
        choices = data.StructLayout({"choice": divisor.carry.shape(), **factor})
        m.submodules.single = one = _Single(choices, single, spec.top_k)
        m.submodules.times = times = _Times(single, product)
        m.submodules.round = rounded = _Round(product, weighted, round(spec.scale * (1 << SCALE_FRAC)))
        m.submodules.gather = gather = _Gather(weighted, self.o.payload.shape(), spec.top_k)
        m.d.comb += [
            one.i.valid.eq(source.valid),
            source.ready.eq(one.i.ready),
            one.i.payload.choice.eq(divisor.carry),
            one.i.payload.r.eq(divisor.r),
            one.i.payload.shift.eq(divisor.bits - (1 + AHEAD - SCALE_FRAC)),
        ]
        chain(m, one, times, rounded, gather, wiring.flipped(self.o))
