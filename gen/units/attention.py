"""Attention of all heads: scores, running maximum, weighted sum, division."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.probe import add_probe
from gen.stream.stream import PacketDelay, Stage, activations, beat, chain
from gen.units.attention_mix import Mix, mixture
from gen.units.attention_scores import Scores, score_beat
from gen.units.reciprocal import Reciprocal
from gen.units.rounding import round_saturate
from gen.units.softmax import EXP_WIDTH
from golden.units.attention import Attention as AttentionSpec

__all__ = ["Attention"]


class _LargestScore(PacketDelay):
    """Statistic of the scores of one (position, head): the largest."""

    def fold(self, m: Module, stat, first, x, y) -> None:
        m.d.comb += y.eq(Mux(first | (x.score > stat), x.score, stat))


class _Multiply(Stage):
    """Sums times reciprocal."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [product.eq(num * x.r) for product, num in zip(y.products, x.num, strict=True)]
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


class _Divide(Component):
    """out = num * 2^top / den of one (position, head) after the other.

    Keeps the sums of one while their reciprocal is looked up and the beats leave: head_dim / lanes + 2 cycles for
    each. Latency 5 cycles to the first beat.

    Attributes
    ----------
    i: stream of `mixture(spec, max_positions)`, in.
    o: stream of fixed-point beats, `last` with the last of all heads, out.
    """

    def __init__(self, spec: AttentionSpec, heads: int, lanes: int, max_positions: int) -> None:
        self.spec, self.heads, self.lanes = spec, heads, lanes
        super().__init__(
            {
                "i": In(stream.Signature(mixture(spec, max_positions))),
                "o": Out(stream.Signature(beat(spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        x = self.i.payload
        m.submodules.reciprocal = reciprocal = Reciprocal(self.spec.reciprocal, len(x.den), x.top.shape())
        quotient = reciprocal.o.payload
        num = data.ArrayLayout(x.num.shape().elem_shape, self.lanes)
        products = data.ArrayLayout(signed(len(x.num[0]) + EXP_WIDTH), self.lanes)
        most = len(x.den) + 15
        selected = data.StructLayout(
            {"num": num, "r": EXP_WIDTH, "bits": quotient.bits.shape(), "top": x.top.shape(), "last": 1}
        )
        scaled = data.StructLayout({"products": products, "shift": signed(most.bit_length() + 1), "last": 1})
        m.submodules.multiply = multiply = _Multiply(selected, scaled)
        m.submodules.round = rounding = _Round(self.spec, scaled, self.o.payload.shape(), most)
        chain(m, multiply, rounding, wiring.flipped(self.o))

        sums: Any
        occupied = Signal()
        leaving = Signal()
        sums = Signal(x.num.shape())
        take = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(reciprocal.i.ready & (~occupied | leaving)),
            reciprocal.i.valid.eq(take),
            reciprocal.i.payload.x.eq(x.den),
            reciprocal.i.payload.carry.eq(x.top),
            reciprocal.o.ready.eq(leaving),
        ]
        with m.If(take):
            m.d.sync += [sums.eq(x.num), occupied.eq(1)]
        with m.Elif(leaving):
            m.d.sync += occupied.eq(0)
        with m.Elif(multiply.i.valid & multiply.i.ready):
            m.d.sync += sums.eq(sums.as_value() >> num.size)
        m.d.comb += multiply.i.payload.num.eq(sums.as_value()[: num.size])
        self._emit(m, reciprocal.o, leaving, multiply.i)
        return m

    def _emit(self, m: Module, source, leaving, target) -> None:
        """Give the reciprocal with each beat of its sums; `leaving` with the last of them."""
        beats = self.spec.head_dim // self.lanes
        index = Signal(range(beats))
        head = Signal(range(self.heads))
        give = target.valid & target.ready
        m.d.comb += [
            target.valid.eq(source.valid),
            leaving.eq(give & (index == beats - 1)),
            target.payload.r.eq(source.payload.r),
            target.payload.bits.eq(source.payload.bits),
            target.payload.top.eq(source.payload.carry),
            target.payload.last.eq((head == self.heads - 1) & (index == beats - 1)),
        ]
        with m.If(give):
            m.d.sync += index.eq(Mux(leaving, 0, index + 1))
        with m.If(leaving):
            m.d.sync += head.eq(Mux(head == self.heads - 1, 0, head + 1))


class Attention(Component):
    """`golden.units.attention.Attention` of every head of every position, each over all positions.

    A pass: `heads` packets a position arrive at each of `q`, `k` and `v` (positions in order, heads in order within),
    and a packet of heads * head_dim elements a position leaves. Nothing is computed before all of a pass's queries and
    keys have arrived. A pass is held until its last query, key or value has been read; the next one is taken meanwhile
    where `passes` is 2, and where it is 1 `ready` is low from the end of a pass until then.

    Throughput: one key a cycle, so as many cycles a (position, head) as there are positions, without a bubble between
    them, as long as that is at least head_dim / lanes + 2; for fewer positions the division is the slowest and holds
    the rest. Latency: about 2 * positions + 20 cycles from the last key to the first beat.

    Parameters
    ----------
    spec: specification.
    heads: heads a position.
    lanes: elements a beat, divides `spec.head_dim`.
    max_positions: most positions of a pass.
    passes: that are held at once, 1 or 2.

    Attributes
    ----------
    q, k, v: streams of beats of `spec.query`, `spec.key` and `spec.value`, packets are heads, in.
    q_ends, k_ends, v_ends: streams of one bit a position, in: it is the last of its pass.
    o: stream of fixed-point beats (`spec.word.width` bits), packets are positions, out.
    """

    def __init__(self, spec: AttentionSpec, heads: int, lanes: int, max_positions: int, passes: int = 1) -> None:
        if heads < 1 or max_positions < 1:
            raise ValueError(f"heads and max_positions must be at least 1, not {heads} and {max_positions}")
        if lanes < 1 or spec.head_dim % lanes:
            raise ValueError(f"lanes must divide head_dim {spec.head_dim}, not be {lanes}")
        self.spec, self.heads, self.lanes, self.max_positions = spec, heads, lanes, max_positions
        self.passes = passes
        super().__init__(
            {
                "q": In(stream.Signature(activations(spec.query, lanes))),
                "k": In(stream.Signature(activations(spec.key, lanes))),
                "v": In(stream.Signature(activations(spec.value, lanes))),
                **{f"{name}_ends": In(stream.Signature(unsigned(1))) for name in "qkv"},
                "o": Out(stream.Signature(beat(spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, arguments = self.spec, (self.spec, self.heads, self.lanes, self.max_positions)
        m.submodules.scores = scores = Scores(*arguments, self.passes)
        depth = 2 * self.max_positions + 2
        m.submodules.largest = top = _LargestScore(score_beat(spec), signed(spec.score.width), depth)
        m.submodules.mix = mix = Mix(*arguments, self.passes)
        m.submodules.divide = divide = _Divide(*arguments)
        for source, sink in (
            (self.q, scores.q),
            (self.k, scores.k),
            (self.v, mix.v),
            (self.q_ends, scores.q_ends),
            (self.k_ends, scores.k_ends),
            (self.v_ends, mix.ends),
        ):
            wiring.connect(m, wiring.flipped(source), sink)
        chain(m, scores, top, mix, divide, wiring.flipped(self.o))
        add_probe(m, "attention.scores", scores.o, 0, self.heads, scores.o.payload.score)
        return m
