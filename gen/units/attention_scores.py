"""First half of attention: base-2 logits of all keys of every (position, head), a key a cycle for every pair."""

from amaranth.hdl import Module, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.latency import FAN_IN
from hardloom.gen.stream.arith import each
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Keep, Stage, activations, chain
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.head_memory import HeadMemory
from hardloom.gen.units.key_walk import KeyWalk
from hardloom.gen.units.rounding import round_saturate
from hardloom.gen.units.span import span_streams

__all__ = ["Scores", "score_beat"]


def score_beat(sizes: AttentionSizes) -> data.StructLayout:
    """One key's score for each of `sizes.pairs`; `last` with the last key."""
    scores = data.ArrayLayout(signed(sizes.spec.score.width), sizes.pairs)
    return data.StructLayout({"scores": scores, "last": unsigned(1)})


def _terms(sizes: AttentionSizes, width: int, count: int) -> data.StructLayout:
    """Terms of each pair's dot product still to be added, with the sum of both scales."""
    scale = unsigned(max(sizes.spec.query.scale_width, sizes.spec.key.scale_width) + 1)
    fields: dict[str, ShapeLike] = {
        "terms": data.ArrayLayout(data.ArrayLayout(signed(width), count), sizes.pairs),
        "scales": data.ArrayLayout(scale, sizes.pairs),
        "last": unsigned(1),
    }
    return data.StructLayout(fields)


class _Multiply(Stage):
    """Products of the elements of each pair's query and key."""

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes, spec = sizes, sizes.spec
        operands: dict[str, ShapeLike] = {"last": unsigned(1)}
        for name, made, count in (("q", spec.query, sizes.pairs), ("k", spec.key, sizes.key_lanes)):
            vectors = data.ArrayLayout(data.ArrayLayout(signed(made.width), spec.head_dim), count)
            operands |= {name: vectors, f"{name}_scales": data.ArrayLayout(made.scale_width, count)}
        self.width = spec.query.width + spec.key.width
        super().__init__(data.StructLayout(operands), _terms(sizes, self.width, spec.head_dim))

    def transform(self, m: Module, x, y) -> None:
        products = list[Value]()
        scales = list[Value]()
        for pair in range(self.sizes.pairs):
            head = self.sizes.key_lane(pair)
            products += [q * k for q, k in zip(x.q[pair], x.k[head], strict=True)]
            scales.append(x.q_scales[pair] + x.k_scales[head])
        m.d.comb += each((term for terms in y.terms for term in terms), products)
        m.d.comb += each(y.scales, scales)
        m.d.comb += y.last.eq(x.last)


class _Add(Stage):
    """Adds groups of up to `FAN_IN` terms."""

    def __init__(self, sizes: AttentionSizes, width: int, count: int) -> None:
        self.groups = [range(start, min(start + FAN_IN, count)) for start in range(0, count, FAN_IN)]
        self.width = width + (min(FAN_IN, count) - 1).bit_length()
        super().__init__(_terms(sizes, width, count), _terms(sizes, self.width, len(self.groups)))

    def transform(self, m: Module, x, y) -> None:
        sums = (sum(terms[k] for k in group) for terms in map(list, x.terms) for group in self.groups)
        m.d.comb += each((target for targets in y.terms for target in targets), sums)
        m.d.comb += [y.scales.eq(x.scales), y.last.eq(x.last)]


class _Scale(Stage):
    """Times log2(e) / sqrt(head_dim)."""

    def __init__(self, sizes: AttentionSizes, width: int) -> None:
        self.factor = sizes.spec.scale
        super().__init__(_terms(sizes, width, 1), _terms(sizes, width + self.factor.bit_length(), 1))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += each((scaled[0] for scaled in y.terms), (dot[0] * self.factor for dot in x.terms))
        m.d.comb += [y.scales.eq(x.scales), y.last.eq(x.last)]


class _Round(Stage):
    """To scores."""

    def __init__(self, sizes: AttentionSizes, i_shape: data.StructLayout) -> None:
        self.spec = sizes.spec
        super().__init__(i_shape, score_beat(sizes))

    def transform(self, m: Module, x, y) -> None:
        word, most = self.spec.score, self.spec.score_shift
        largest = sum((1 << made.scale_width) - 1 for made in (self.spec.query, self.spec.key))
        least = max(-word.width, most - largest)
        for score, terms, scale in zip(y.scores, x.terms, x.scales, strict=True):
            m.d.comb += score.eq(round_saturate(m, terms[0], most - scale, word, least, most))
        m.d.comb += y.last.eq(x.last)


class Scores(Component):
    """`golden.units.attention.Attention.scores`.

    Starts when all queries and keys of a pass are stored, and forgets them when the last has been read.
    Latency from then: 5 cycles and one for each factor of `FAN_IN` = 16 in `head_dim`; one key a cycle, no bubble
    within a pass. Scores of queries behind the last position are undefined.

    Parameters
    ----------
    sizes: of attention.

    Attributes
    ----------
    q, k: streams of beats of `spec.query` and `spec.key`, packets are heads, in.
    q_ends, k_ends: streams of one bit a position, in: it is the last of its pass.
    k_spans: stream of `gen.units.span.span_shape`, one a pass, in; only where keys are kept.
    o: stream of `score_beat(sizes)`, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "q": In(stream.Signature(activations(sizes.spec.query, sizes.lanes))),
                "k": In(stream.Signature(activations(sizes.spec.key, sizes.lanes))),
                "q_ends": In(stream.Signature(unsigned(1))),
                "k_ends": In(stream.Signature(unsigned(1))),
                **span_streams(sizes.slots, sizes.max_positions, "k_spans"),
                "o": Out(stream.Signature(score_beat(sizes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        m.submodules.multiply = multiply = _Multiply(sizes)
        self._fetch(m, multiply.i)
        stages: list[Stage] = [multiply]
        width, count = multiply.width, sizes.spec.head_dim
        while count > 1:
            m.submodules[f"add_{count}"] = add = _Add(sizes, width, count)
            stages.append(add)
            width, count = add.width, len(add.groups)
        m.submodules.scale = scale = _Scale(sizes, width)
        m.submodules.round = rounding = _Round(sizes, scale.o.payload.shape())
        chain(m, *stages, scale, rounding, wiring.flipped(self.o))
        return m

    def _fetch(self, m: Module, target) -> None:
        """Read a key for each step of the walk, and a group's queries with its first: they stand until the last."""
        spec, sizes = self.sizes.spec, self.sizes
        m.submodules.q_memory = q = HeadMemory(spec.query, sizes, sizes.head_lanes, sizes.groups, sizes.query_lanes)
        m.submodules.k_memory = k = HeadMemory(spec.key, sizes, sizes.key_lanes, sizes.key_groups, kept=sizes.slots > 0)
        m.submodules.walker = walker = KeyWalk(sizes)
        m.submodules.fetched = fetched = Keep(unsigned(1))
        at, taken, first = walker.o.payload, Signal(), Signal(init=1)
        m.d.comb += [
            taken.eq(walker.o.valid & walker.o.ready),
            walker.go.eq(q.stored & k.stored),
            walker.positions.eq(k.positions),
            fetched.i.valid.eq(walker.o.valid),
            fetched.i.payload.eq(at.last),
            walker.o.ready.eq(fetched.i.ready),
            q.enable.eq(taken & first),
            k.enable.eq(taken),
            k.address.eq(at.key),
            target.valid.eq(fetched.o.valid),
            fetched.o.ready.eq(target.ready),
            target.payload.last.eq(fetched.o.payload),
        ]
        if sizes.slots:
            wiring.connect(m, wiring.flipped(self.k_spans), k.spans)
            m.d.comb += [walker.first.eq(k.first), walker.stop.eq(k.stop)]
        query = Signal.like(q.address)
        m.d.comb += q.address.eq(query)
        with m.If(taken):
            m.d.sync += first.eq(at.last)
            with m.If(at.last):
                m.d.sync += query.eq(query + 1)
        with m.If(walker.done):
            m.d.sync += query.eq(0)
        for name, source, ends, store in (("q", self.q, self.q_ends, q), ("k", self.k, self.k_ends, k)):
            wiring.connect(m, wiring.flipped(source), store.i)
            wiring.connect(m, wiring.flipped(ends), store.ends)
            m.d.comb += [
                store.forget.eq(walker.done),
                target.payload[name].eq(store.vectors),
                target.payload[f"{name}_scales"].eq(store.scales),
            ]
