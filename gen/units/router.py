"""Router: probabilities of all experts, the k best of them."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import PacketDelay, Stage, beat
from gen.text.constant_module import index_width
from gen.units.reciprocal import Reciprocal
from gen.units.rounding import round_shift
from gen.units.softmax import EXP_WIDTH, Largest, Numerator
from golden.units.router import Router as RouterSpec

__all__ = ["Router", "choice"]

TERM = data.StructLayout({"e": unsigned(EXP_WIDTH), "last": unsigned(1)})
"""One expert's exponential."""


def choice(spec: RouterSpec) -> data.StructLayout:
    """A token's experts, best first: `experts`, their numbers, and `weights`, `spec.weight_width` bits, 65536 = 1.

    Weights have a sign where the model has expert biases.
    """
    number, weight = unsigned(index_width(spec.num_experts)), Shape(spec.weight_width, spec.biased)
    top_k = spec.top_k
    return data.StructLayout({"experts": data.ArrayLayout(number, top_k), "weights": data.ArrayLayout(weight, top_k)})


class _Elements(Component):
    """Beats to single logits, without the padding. Latency 0, one element a cycle."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, lanes: int, count: int) -> None:
        self.lanes, self.count = lanes, count
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, y = self.i.payload, self.o.payload
        lane = Signal(range(self.lanes))
        final = x.beat.last & (lane == (self.count - 1) % self.lanes)
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & (final | (lane == self.lanes - 1))),
            y.data[0].eq(x.beat.data[lane]),
            y.top.eq(x.stat),
            y.last.eq(final),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += lane.eq(Mux(self.i.ready, 0, lane + 1))
        return m


class _Sum(PacketDelay):
    """Statistic of a packet of exponentials: their sum."""

    def fold(self, m: Module, stat, first, x, y) -> None:
        m.d.comb += y.eq(Mux(first, 0, stat) + x.e)


class _Product(Stage):
    """Exponential times reciprocal, both still to be brought to 16 fraction bits."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.product.eq(x.carry.e * x.r), y.shift.eq(x.bits - 1), y.last.eq(x.carry.last)]


class _Score(Stage):
    """Rounds to p, and adds the bias of the expert, whose number is counted here: `index` out, `bias` in, if any."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, bias_width: int | None) -> None:
        self.biased = bias_width is not None
        bias = {"bias": In(signed(bias_width))} if bias_width is not None else {}
        super().__init__(i_shape, o_shape, {"index": Out(o_shape.members["expert"]), **bias})

    def transform(self, m: Module, x, y) -> None:
        p = round_shift(x.product, x.shift)[:EXP_WIDTH]
        m.d.comb += [y.weight.eq(p + self.bias if self.biased else p), y.expert.eq(self.index), y.last.eq(x.last)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.index.eq(Mux(x.last, 0, self.index + 1))


class _Best(Component):
    """Sorts a packet's candidates into the `top_k` best places: one item out for a packet in.

    A candidate enters before the first place whose weight is smaller, so that of equal ones the earlier stays ahead.
    Latency 1, one candidate a cycle.
    """

    def __init__(self, candidate: data.StructLayout, o_shape: data.StructLayout, top_k: int) -> None:
        self.candidate, self.top_k = candidate, top_k
        super().__init__({"i": In(stream.Signature(candidate)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, o = self.i.payload, self.o
        first = Signal(init=1)
        filled = Signal(self.top_k)
        enters = Signal(self.top_k)
        places: list[Any] = [Signal(self.candidate, name=f"place_{j}") for j in range(self.top_k)]
        m.d.comb += self.i.ready.eq(~o.valid | o.ready)
        with m.If(self.i.ready):
            m.d.sync += o.valid.eq(self.i.valid & x.last)
        take = self.i.ready & self.i.valid
        with m.If(take):
            m.d.sync += [first.eq(x.last), filled.eq(Mux(first, 1, (filled << 1) | 1))]
        for j, place in enumerate(places):
            m.d.comb += [
                enters[j].eq(first | ~filled[j] | (x.weight > place.weight)),
                o.payload.experts[j].eq(place.expert),
                o.payload.weights[j].eq(place.weight),
            ]
            better = Mux(enters[j - 1], places[j - 1], x) if j else x
            with m.If(take & enters[j]):
                m.d.sync += place.eq(better)
        return m


class Router(Component):
    """`golden.units.router.Router`: a packet of logits in, one choice of experts out.

    Latency: about the packet's beats plus twice `num_experts` plus 15 cycles; throughput one token in `num_experts`
    cycles (tokens overlap).

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat; a packet is ceil(num_experts / lanes) beats, elements past the last logit are ignored.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.numerator.word.width` bits), in.
    index: an expert's number, out, and bias: its bias, signed, `spec.bias_width` bits, in the same cycle, in; both only
        where the model has biases.
    o: stream of `choice(spec)`, out.
    """

    def __init__(self, spec: RouterSpec, lanes: int) -> None:
        if not 1 <= spec.top_k <= spec.num_experts or lanes < 1:
            raise ValueError(f"cannot choose {spec.top_k} of {spec.num_experts} experts, {lanes} lanes a beat")
        self.spec, self.lanes = spec, lanes
        constants = {"index": Out(index_width(spec.num_experts)), "bias": In(signed(spec.bias_width))}
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.numerator.word.width, lanes))),
                **(constants if spec.biased else {}),
                "o": Out(stream.Signature(choice(spec))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        exponentials = self._exponentials(m)
        chosen = self._choose(m, self._sums(m, exponentials))
        wiring.connect(m, chosen, wiring.flipped(self.o))
        return m

    def _exponentials(self, m: Module):
        """Logits to a stream of exponentials, one a cycle."""
        spec, lanes, count = self.spec, self.lanes, self.spec.num_experts
        depth = 2 * -(-count // lanes) + 2
        m.submodules.largest = top = Largest(spec.numerator.word.width, lanes, count, depth)
        m.submodules.numerator = numerator = Numerator(spec.numerator, 1, unsigned(0))
        i_shape, o_shape = top.o.payload.shape(), numerator.i.payload.shape()
        m.submodules.elements = elements = _Elements(i_shape, o_shape, lanes, count)
        wiring.connect(m, wiring.flipped(self.i), top.i)
        wiring.connect(m, top.o, elements.i)
        wiring.connect(m, elements.o, numerator.i)
        return numerator.o

    def _sums(self, m: Module, source):
        """Each exponential with the reciprocal of the token's sum."""
        count = self.spec.num_experts
        width = EXP_WIDTH + (count - 1).bit_length()
        m.submodules.sum = total = _Sum(TERM, unsigned(width), 2 * count + 2)
        m.submodules.reciprocal = reciprocal = Reciprocal(self.spec.reciprocal, width, TERM)
        m.d.comb += [
            total.i.valid.eq(source.valid),
            source.ready.eq(total.i.ready),
            total.i.payload.e.eq(source.payload.data[0]),
            total.i.payload.last.eq(source.payload.last),
            reciprocal.i.valid.eq(total.o.valid),
            total.o.ready.eq(reciprocal.i.ready),
            reciprocal.i.payload.x.eq(total.o.payload.stat),
            reciprocal.i.payload.carry.eq(total.o.payload.beat),
        ]
        return reciprocal.o

    def _choose(self, m: Module, source):
        """Exponentials and reciprocals to the best experts."""
        spec = self.spec
        shape = source.payload.shape()
        scaled = data.StructLayout(
            {"product": unsigned(2 * EXP_WIDTH), "shift": shape.members["bits"], "last": unsigned(1)}
        )
        members = self.o.payload.shape().members
        expert, weight = (members[name].elem_shape for name in ("experts", "weights"))
        candidate = data.StructLayout({"weight": weight, "expert": expert, "last": unsigned(1)})
        m.submodules.product = product = _Product(shape, scaled)
        m.submodules.score = score = _Score(scaled, candidate, spec.bias_width if spec.biased else None)
        m.submodules.best = best = _Best(candidate, self.o.payload.shape(), spec.top_k)
        if score.biased:
            m.d.comb += [self.index.eq(score.index), score.bias.eq(self.bias)]
        wiring.connect(m, source, product.i)
        wiring.connect(m, product.o, score.i)
        wiring.connect(m, score.o, best.i)
        return best.o
