"""Second half of attention: weights from scores, weighted sums of values, a key a cycle for every pair."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import each
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, activations, chain
from hardloom.gen.units.attention_scores import score_beat
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.head_memory import ValueMemory
from hardloom.gen.units.key_walk import KeyWalk
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.softmax import EXP_WIDTH, Exp2Lookup, exponent, shifted
from hardloom.gen.units.span import span_streams

__all__ = ["Mix", "mixture", "scored"]


def scored(sizes: AttentionSizes) -> data.StructLayout:
    """Scores of a key with the largest of each pair's, `stat`."""
    largest = data.ArrayLayout(signed(sizes.spec.score.width), sizes.pairs)
    return data.StructLayout({"beat": score_beat(sizes), "stat": largest})


def _below(sizes: AttentionSizes) -> data.StructLayout:
    """How far one key's score is below the largest, for each pair."""
    distances = data.ArrayLayout(unsigned(sizes.spec.score.width), sizes.pairs)
    return data.StructLayout({"d": distances, "last": unsigned(1)})


def _raw(sizes: AttentionSizes) -> data.StructLayout:
    """One key's exponential for each pair, not yet shifted."""
    return data.StructLayout({"e": data.ArrayLayout(exponent(sizes.spec.exp2), sizes.pairs), "last": unsigned(1)})


def _term(sizes: AttentionSizes) -> data.StructLayout:
    """One key's exponential for each pair."""
    return data.StructLayout({"e": data.ArrayLayout(unsigned(EXP_WIDTH), sizes.pairs), "last": unsigned(1)})


def _group(sizes: AttentionSizes) -> dict[str, ShapeLike]:
    """What is the same for all keys: the largest value scale of each head of values, the group's last query, from 0."""
    tops = data.ArrayLayout(sizes.spec.value.scale_width, sizes.key_lanes)
    return {"tops": tops, "most": range(sizes.query_lanes)}


def _fetched(sizes: AttentionSizes) -> data.StructLayout:
    """A key's exponentials with what is the same for all keys."""
    return data.StructLayout({"term": _term(sizes), **_group(sizes)})


def mixture(sizes: AttentionSizes) -> data.StructLayout:
    """Exact sums of each pair, `num` an element and `den`, with what is the same for all keys."""
    spec, growth = sizes.spec, (sizes.max_positions - 1).bit_length()
    num = data.ArrayLayout(signed(EXP_WIDTH + spec.value.width + growth), spec.head_dim)
    sums: dict[str, ShapeLike] = {
        "num": data.ArrayLayout(num, sizes.pairs),
        "den": data.ArrayLayout(unsigned(EXP_WIDTH + growth), sizes.pairs),
    }
    return data.StructLayout(sums | _group(sizes))


class _Distance(Stage):
    """max t - t."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [d.eq(most - score) for d, most, score in zip(y.d, x.stat, x.beat.scores, strict=True)]
        m.d.comb += y.last.eq(x.beat.last)


class _Exponential(Stage):
    """E = 2^(t - max t), not yet shifted."""

    def __init__(self, sizes: AttentionSizes) -> None:
        self.spec = sizes.spec
        super().__init__(_below(sizes), _raw(sizes))

    def transform(self, m: Module, x, y) -> None:
        for pair, d in enumerate(x.d):
            exp2 = Exp2Lookup(self.spec.exp2, self.spec.score.width + self.spec.finer)
            m.submodules[f"exp2_{pair}"] = exp2
            m.d.comb += [exp2.d.eq(d << self.spec.finer), y.e[pair].eq(exp2.e)]
        m.d.comb += y.last.eq(x.last)


class _Fetch(Stage):
    """E, shifted while the memory is read."""

    def __init__(self, sizes: AttentionSizes) -> None:
        super().__init__(data.StructLayout({"raw": _raw(sizes), **_group(sizes)}), _fetched(sizes))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [e.eq(shifted(raw)) for e, raw in zip(y.term.e, x.raw.e, strict=True)]
        m.d.comb += [y.term.last.eq(x.raw.last), y.tops.eq(x.tops), y.most.eq(x.most)]


class _Weigh(Stage):
    """w = E brought to the head's common value scale."""

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes, spec = sizes, sizes.spec
        vectors = data.ArrayLayout(data.ArrayLayout(signed(spec.value.width), spec.head_dim), sizes.key_lanes)
        scales = data.ArrayLayout(spec.value.scale_width, sizes.key_lanes)
        weights = data.ArrayLayout(unsigned(EXP_WIDTH), sizes.pairs)
        i_shape = {"fetched": _fetched(sizes), "v": vectors, "v_scales": scales}
        o_shape = {"fetched": _fetched(sizes), "v": vectors, "w": weights}
        super().__init__(data.StructLayout(i_shape), data.StructLayout(o_shape))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.v.eq(x.v), y.fetched.eq(x.fetched)]
        width, lanes = self.sizes.spec.value.scale_width, range(self.sizes.key_lanes)
        shifts = [Signal(width, name=f"shift_{lane}") for lane in lanes]
        for lane, shift in enumerate(shifts):
            m.d.comb += shift.eq(x.fetched.tops[lane] - x.v_scales[lane])
        for pair, e in enumerate(x.fetched.term.e):
            m.d.comb += y.w[pair].eq(round_shift(e, shifts[self.sizes.key_lane(pair)]))


class _Multiply(Stage):
    """w times every element of the value."""

    def __init__(self, sizes: AttentionSizes, i_shape: data.StructLayout) -> None:
        self.sizes, spec = sizes, sizes.spec
        products = data.ArrayLayout(signed(EXP_WIDTH + spec.value.width), spec.head_dim)
        o_shape = {"fetched": _fetched(sizes), "products": data.ArrayLayout(products, sizes.pairs)}
        super().__init__(i_shape, data.StructLayout(o_shape))

    def transform(self, m: Module, x, y) -> None:
        products = (v * w for pair, w in enumerate(x.w) for v in x.v[self.sizes.key_lane(pair)])
        m.d.comb += each((target for targets in y.products for target in targets), products)
        m.d.comb += y.fetched.eq(x.fetched)


class _Accumulate(Component):
    """Sums over the keys of a group; one item out with its last key. Latency 1."""

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
            m.d.sync += [first.eq(x.fetched.term.last), sums.tops.eq(x.fetched.tops), sums.most.eq(x.fetched.most)]
            nums = [num for of_pair in sums.num for num in of_pair]
            terms = [product for products in x.products for product in products]
            for totals, added in ((sums.den, x.fetched.term.e), (nums, terms)):
                m.d.sync += each(totals, (Mux(first, 0, t) + a for t, a in zip(totals, added, strict=True)))
        return m


class Mix(Component):
    """The sums of `golden.units.attention.Attention.mix`, from scores and values.

    Latency 6 cycles after the last key's scores, throughput one key a cycle. The values of a pass are forgotten
    when the last has been read. Sums of queries behind `most` are undefined.

    Parameters
    ----------
    sizes: of attention.

    Attributes
    ----------
    i: stream of `scored(sizes)`, in.
    v: stream of beats of `spec.value`, packets are heads, in.
    ends: stream of one bit a position, in: it is the last of its pass.
    spans: stream of `gen.units.span.span_shape`, one a pass, in; only where values are kept.
    o: stream of `mixture(sizes)`, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "i": In(stream.Signature(scored(sizes))),
                "v": In(stream.Signature(activations(sizes.spec.value, sizes.lanes))),
                "ends": In(stream.Signature(unsigned(1))),
                **span_streams(sizes.slots, sizes.max_positions, "spans"),
                "o": Out(stream.Signature(mixture(sizes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.distance = distance = _Distance(scored(self.sizes), _below(self.sizes))
        m.submodules.exponential = exponential = _Exponential(self.sizes)
        m.submodules.weigh = weigh = _Weigh(self.sizes)
        m.submodules.multiply = multiply = _Multiply(self.sizes, weigh.o.payload.shape())
        m.submodules.accumulate = accumulate = _Accumulate(multiply.o.payload.shape(), self.o.payload.shape())
        chain(m, wiring.flipped(self.i), distance, exponential)
        self._fetch(m, exponential.o, weigh.i)
        chain(m, weigh, multiply, accumulate, wiring.flipped(self.o))
        return m

    def _fetch(self, m: Module, source, target) -> None:
        """Join each key's exponentials, shifted meanwhile, with its values, read from the memory."""
        m.submodules.memory = values = ValueMemory(self.sizes.spec.value, self.sizes)
        m.submodules.walker = walker = KeyWalk(self.sizes)
        m.submodules.fetched = kept = _Fetch(self.sizes)
        at = walker.o.payload
        wiring.connect(m, wiring.flipped(self.v), values.i)
        wiring.connect(m, wiring.flipped(self.ends), values.ends)
        m.d.comb += [
            walker.go.eq(values.stored),
            walker.positions.eq(values.positions),
            values.forget.eq(walker.done),
            values.address.eq(at.key),
            values.enable.eq(kept.i.valid & kept.i.ready),
            kept.i.valid.eq(source.valid & walker.o.valid),
            kept.i.payload.raw.eq(source.payload),
            kept.i.payload.most.eq(at.most),
            walker.o.ready.eq(kept.i.ready & source.valid),
            source.ready.eq(kept.i.ready & walker.o.valid),
            target.valid.eq(kept.o.valid),
            kept.o.ready.eq(target.ready),
            target.payload.fetched.eq(kept.o.payload),
            target.payload.v.eq(values.vectors),
            target.payload.v_scales.eq(values.scales),
        ]
        if self.sizes.slots:
            wiring.connect(m, wiring.flipped(self.spans), values.spans)
            m.d.comb += [walker.first.eq(values.first), walker.stop.eq(values.stop)]
        if values.by_block:
            m.d.comb += [values.furthest.eq(at.furthest), target.payload.fetched.tops.eq(values.tops)]
        else:
            m.d.comb += [values.turn.eq(values.enable & at.last & at.turn), kept.i.payload.tops.eq(values.tops)]
