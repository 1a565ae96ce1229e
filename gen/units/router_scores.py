"""Scores of a router's experts: logits in beats to candidates, one a cycle."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.trees import is_wide
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Keep, PacketDelay, Stage, beat, chain, count_beats
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.reciprocal import Reciprocal
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.sigmoid import SigmoidLookup
from hardloom.gen.units.softmax import EXP_WIDTH, Largest, Numerator
from hardloom.golden.units.router import Router as RouterSpec

__all__ = ["Scores", "candidate", "rank", "score_shape"]

TERM = data.StructLayout({"e": unsigned(EXP_WIDTH), "last": unsigned(1)})
"""One expert's exponential."""


def score_shape(spec: RouterSpec) -> Shape:
    """A score as it becomes a weight: 65536 = 1, its bias in it where that is mixed."""
    return signed(spec.bias_width + 1) if spec.biased and spec.mixed else unsigned(EXP_WIDTH)


def candidate(spec: RouterSpec) -> data.StructLayout:
    """An expert that may be chosen: `score`, `expert`, its number, and `last` of the token's.

    `rank`, the score and its bias, is there where the bias is not in the score.
    """
    members: dict[str, Any] = {"score": score_shape(spec), "expert": unsigned(index_width(spec.num_experts))}
    if spec.biased and not spec.mixed:
        members["rank"] = signed(spec.bias_width + 1)
    return data.StructLayout(members | {"last": unsigned(1)})


def rank(x) -> Any:
    """What a candidate is judged by."""
    return x.rank if "rank" in x.shape().members else x.score


class _Elements(Component):
    """Beats to single logits, without the padding. Latency 0, one element a cycle.

    What goes in has the beat at `beat` and the largest of its packet at `stat` where a softmax follows.
    """

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


class _Sigmoid(Stage):
    """The sigmoid of a logit."""

    def __init__(self, spec: RouterSpec, i_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, data.StructLayout({"score": unsigned(EXP_WIDTH), "last": unsigned(1)}))

    def transform(self, m: Module, x, y) -> None:
        m.submodules.sigmoid = sigmoid = SigmoidLookup(self.spec.sigmoid, self.spec.numerator.word.width)
        m.d.comb += [sigmoid.x.eq(x.data[0]), y.score.eq(sigmoid.y), y.last.eq(x.last)]


class _Score(Stage):
    """Rounds to p where a product comes, and adds the bias of the expert, whose number is counted here: `index` out,
    `bias` in, if any."""

    def __init__(self, i_shape: data.StructLayout, spec: RouterSpec) -> None:
        self.spec = spec
        o_shape = candidate(spec)
        bias = {"bias": In(signed(spec.bias_width))} if spec.biased else {}
        super().__init__(i_shape, o_shape, {"index": Out(o_shape.members["expert"]), **bias})

    def transform(self, m: Module, x, y) -> None:
        score = x.score if self.spec.score == "sigmoid" else round_shift(x.product, x.shift)[:EXP_WIDTH]
        rank = score + self.bias if self.spec.biased else score
        m.d.comb += [y.score.eq(rank if self.spec.mixed else score), y.expert.eq(self.index), y.last.eq(x.last)]
        if "rank" in y.shape().members:
            m.d.comb += y.rank.eq(rank)
        count_beats(m, self.i, self.index)


class Scores(Component):
    """`golden.units.router.Router.scores`, and biases: a packet of logits in, `num_experts` candidates out.

    A softmax waits for a token's largest logit and for the sum of its exponentials, a sigmoid for nothing.

    Attributes
    ----------
    i: stream of fixed-point beats, in.
    index, bias: as those of `gen.units.router.Router`; `bias` only where the model has biases.
    o: stream of `candidate(spec)`, out.
    """

    def __init__(self, spec: RouterSpec, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        bias = {"bias": In(signed(spec.bias_width))} if spec.biased else {}
        ports = {"i": In(stream.Signature(beat(spec.numerator.word.width, lanes))), **bias}
        ports |= {"index": Out(index_width(spec.num_experts)), "o": Out(stream.Signature(candidate(spec)))}
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        source = self._sigmoids(m) if self.spec.score == "sigmoid" else self._probabilities(m)
        m.submodules.score = score = _Score(source.o.payload.shape(), self.spec)
        m.d.comb += self.index.eq(score.index)
        if self.spec.biased:
            m.d.comb += score.bias.eq(self.bias)
        chain(m, source, score, wiring.flipped(self.o))
        return m

    def _sigmoids(self, m: Module) -> _Sigmoid:
        word = signed(self.spec.numerator.word.width)
        single = data.StructLayout(
            {"data": data.ArrayLayout(word, 1), "top": unsigned(0), "last": unsigned(1)}  # no largest is needed
        )
        i_shape = data.StructLayout({"beat": self.i.payload.shape(), "stat": unsigned(0)})
        m.submodules.elements = elements = _Elements(i_shape, single, self.lanes, self.spec.num_experts)
        m.submodules.sigmoid = sigmoid = _Sigmoid(self.spec, single)
        m.d.comb += [
            elements.i.valid.eq(self.i.valid),
            elements.i.payload.beat.eq(self.i.payload),
            self.i.ready.eq(elements.i.ready),
        ]
        chain(m, elements, sigmoid)
        return sigmoid

    def _probabilities(self, m: Module) -> _Product:
        total = self._sums(m, self._exponentials(m))
        shape = total.payload.shape()
        scaled = data.StructLayout(
            {"product": unsigned(2 * EXP_WIDTH), "shift": shape.members["bits"], "last": unsigned(1)}
        )
        m.submodules.product = product = _Product(shape, scaled)
        wiring.connect(m, total, product.i)
        return product

    def _exponentials(self, m: Module):
        """Logits to a stream of exponentials, one a cycle, each in a register once it is chosen from a wide beat."""
        spec, lanes, count = self.spec, self.lanes, self.spec.num_experts
        depth = 2 * -(-count // lanes) + 2
        m.submodules.largest = top = Largest(spec.numerator.word.width, lanes, count, depth)
        m.submodules.numerator = numerator = Numerator(spec.numerator, 1, unsigned(0))
        i_shape, o_shape = top.o.payload.shape(), numerator.i.payload.shape()
        m.submodules.elements = elements = _Elements(i_shape, o_shape, lanes, count)
        wiring.connect(m, wiring.flipped(self.i), top.i)
        parts: list[Any] = [top, elements]
        if is_wide(lanes):
            m.submodules.chosen = chosen = Keep(o_shape)
            parts.append(chosen)
        chain(m, *parts, numerator)
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
