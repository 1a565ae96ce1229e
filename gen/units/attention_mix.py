"""Second half of attention: weights from scores, weighted sum of values, one key a cycle."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import Keep, Stage, activations, chain
from gen.units.attention_scores import score_beat
from gen.units.head_memory import KeyWalk, ValueMemory
from gen.units.rounding import round_shift
from gen.units.softmax import EXP_WIDTH, Exp2Lookup
from golden.units.attention import Attention as AttentionSpec

__all__ = ["Mix", "mixture"]

TERM = data.StructLayout({"e": unsigned(EXP_WIDTH), "last": unsigned(1)})
"""One key's exponential."""


def fetched(spec: AttentionSpec) -> data.StructLayout:
    """A key's exponential with the largest value scale of the head."""
    return data.StructLayout({"term": TERM, "top": unsigned(spec.value.scale_width)})


def mixture(spec: AttentionSpec, max_positions: int) -> data.StructLayout:
    """Exact sums of one (position, head): `num` an element, `den`, and `top`, the largest value scale."""
    growth = (max_positions - 1).bit_length()
    num = data.ArrayLayout(signed(EXP_WIDTH + spec.value.width + growth), spec.head_dim)
    return data.StructLayout({"num": num, "den": unsigned(EXP_WIDTH + growth), "top": unsigned(spec.value.scale_width)})


class _Exponential(Stage):
    """E = 2^(t - max t)."""

    def __init__(self, spec: AttentionSpec) -> None:
        self.spec = spec
        i_shape = data.StructLayout({"beat": score_beat(spec), "stat": signed(spec.score.width)})
        super().__init__(i_shape, TERM)

    def transform(self, m: Module, x, y) -> None:
        m.submodules.exp2 = exp2 = Exp2Lookup(self.spec.exp2, self.spec.score.width + self.spec.finer)
        m.d.comb += [exp2.d.eq((x.stat - x.beat.score) << self.spec.finer), y.e.eq(exp2.e), y.last.eq(x.beat.last)]


class _Weigh(Stage):
    """w = E brought to the head's common value scale."""

    def __init__(self, spec: AttentionSpec) -> None:
        vector = data.ArrayLayout(signed(spec.value.width), spec.head_dim)
        i_shape = {"fetched": fetched(spec), "v": vector, "v_scale": unsigned(spec.value.scale_width)}
        o_shape = {"fetched": fetched(spec), "v": vector, "w": unsigned(EXP_WIDTH)}
        super().__init__(data.StructLayout(i_shape), data.StructLayout(o_shape))

    def transform(self, m: Module, x, y) -> None:
        shift = Signal.like(x.v_scale)
        m.d.comb += [
            shift.eq(x.fetched.top - x.v_scale),
            y.w.eq(round_shift(x.fetched.term.e, shift)),
            y.v.eq(x.v),
            y.fetched.eq(x.fetched),
        ]


class _Multiply(Stage):
    """w times every element of the value."""

    def __init__(self, i_shape: data.StructLayout, spec: AttentionSpec) -> None:
        products = data.ArrayLayout(signed(EXP_WIDTH + spec.value.width), spec.head_dim)
        super().__init__(i_shape, data.StructLayout({"fetched": fetched(spec), "products": products}))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [product.eq(v * x.w) for product, v in zip(y.products, x.v, strict=True)]
        m.d.comb += y.fetched.eq(x.fetched)


class _Accumulate(Component):
    """Sums over the keys of a (position, head); one item out with its last key. Latency 1."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout) -> None:
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x = self.i.payload
        sums: Any
        first = Signal(init=1)
        sums = Signal(self.o.payload.shape())
        m.d.comb += [self.i.ready.eq(~self.o.valid | self.o.ready), self.o.payload.eq(sums)]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid & x.fetched.term.last)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                first.eq(x.fetched.term.last),
                sums.den.eq(Mux(first, 0, sums.den) + x.fetched.term.e),
                sums.top.eq(x.fetched.top),
            ]
            m.d.sync += [n.eq(Mux(first, 0, n) + product) for n, product in zip(sums.num, x.products, strict=True)]
        return m


class Mix(Component):
    """The sums of `golden.units.attention.Attention.mix`, from scores and values.

    Latency 5 cycles after the last key's score, throughput one key a cycle. The values of a pass are forgotten
    when the last has been read.

    Parameters
    ----------
    spec, heads, lanes, max_positions, passes: as in `gen.units.attention.Attention`.

    Attributes
    ----------
    i: stream of {`beat`: `score_beat(spec)`, `stat`: the largest score of the (position, head)}, in.
    v: stream of beats of `spec.value`, packets are heads, in.
    ends: stream of one bit a position, in: it is the last of its pass.
    o: stream of `mixture(spec, max_positions)`, out.
    """

    def __init__(self, spec: AttentionSpec, heads: int, lanes: int, max_positions: int, passes: int) -> None:
        self.spec, self.heads, self.lanes, self.max_positions = spec, heads, lanes, max_positions
        self.passes = passes
        scored = data.StructLayout({"beat": score_beat(spec), "stat": signed(spec.score.width)})
        super().__init__(
            {
                "i": In(stream.Signature(scored)),
                "v": In(stream.Signature(activations(spec.value, lanes))),
                "ends": In(stream.Signature(unsigned(1))),
                "o": Out(stream.Signature(mixture(spec, max_positions))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.exponential = exponential = _Exponential(self.spec)
        m.submodules.weigh = weigh = _Weigh(self.spec)
        m.submodules.multiply = multiply = _Multiply(weigh.o.payload.shape(), self.spec)
        m.submodules.accumulate = accumulate = _Accumulate(multiply.o.payload.shape(), self.o.payload.shape())
        wiring.connect(m, wiring.flipped(self.i), exponential.i)
        self._fetch(m, exponential.o, weigh.i)
        chain(m, weigh, multiply, accumulate, wiring.flipped(self.o))
        return m

    def _fetch(self, m: Module, source, target) -> None:
        """Join each exponential with its value, read from the memory."""
        spec = self.spec
        m.submodules.memory = values = ValueMemory(
            spec.value, self.heads, spec.head_dim, self.lanes, self.max_positions, self.passes
        )
        m.submodules.walker = walker = KeyWalk(self.heads, self.max_positions)
        m.submodules.fetched = kept = Keep(fetched(spec))
        wiring.connect(m, wiring.flipped(self.v), values.i)
        wiring.connect(m, wiring.flipped(self.ends), values.ends)
        m.d.comb += [
            walker.go.eq(values.stored),
            walker.positions.eq(values.positions),
            values.forget.eq(walker.done),
            values.address.eq(walker.o.payload.key),
            values.enable.eq(kept.i.valid & kept.i.ready),
            values.turn.eq(values.enable & walker.o.payload.last),
            kept.i.valid.eq(source.valid & walker.o.valid),
            kept.i.payload.term.eq(source.payload),
            kept.i.payload.top.eq(values.top),
            walker.o.ready.eq(kept.i.ready & source.valid),
            source.ready.eq(kept.i.ready & walker.o.valid),
            target.valid.eq(kept.o.valid),
            kept.o.ready.eq(target.ready),
            target.payload.fetched.eq(kept.o.payload),
            target.payload.v.eq(values.word),
            target.payload.v_scale.eq(values.scale),
        ]
