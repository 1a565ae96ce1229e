"""First half of attention: base-2 logits of all keys of every (position, head), one a cycle."""

from amaranth.hdl import Module, ShapeLike, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.design.latency import FAN_IN
from gen.stream.component import Component
from gen.stream.stream import Keep, Stage, activations, chain
from gen.units.head_memory import HeadMemory, KeyWalk
from gen.units.rounding import round_saturate
from golden.units.attention import Attention as AttentionSpec

__all__ = ["Scores", "score_beat"]


def score_beat(spec: AttentionSpec) -> data.StructLayout:
    """One key's `score`; `last` with the last key of a (position, head)."""
    return data.StructLayout({"score": signed(spec.score.width), "last": unsigned(1)})


def _terms(spec: AttentionSpec, width: int, count: int) -> data.StructLayout:
    """Terms of a dot product still to be added, with the sum of both scales."""
    scale = unsigned(max(spec.query.scale_width, spec.key.scale_width) + 1)
    return data.StructLayout({"terms": data.ArrayLayout(signed(width), count), "scale": scale, "last": unsigned(1)})


class _Multiply(Stage):
    """Products of a query's and a key's elements."""

    def __init__(self, spec: AttentionSpec) -> None:
        pair: dict[str, ShapeLike] = {"last": unsigned(1)}
        for name, made in (("q", spec.query), ("k", spec.key)):
            pair |= {name: data.ArrayLayout(signed(made.width), spec.head_dim), f"{name}_scale": made.scale_width}
        self.width = spec.query.width + spec.key.width
        super().__init__(data.StructLayout(pair), _terms(spec, self.width, spec.head_dim))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [term.eq(q * k) for term, q, k in zip(y.terms, x.q, x.k, strict=True)]
        m.d.comb += [y.scale.eq(x.q_scale + x.k_scale), y.last.eq(x.last)]


class _Add(Stage):
    """Adds groups of up to `FAN_IN` terms."""

    def __init__(self, spec: AttentionSpec, width: int, count: int) -> None:
        self.groups = [range(start, min(start + FAN_IN, count)) for start in range(0, count, FAN_IN)]
        self.width = width + (min(FAN_IN, count) - 1).bit_length()
        super().__init__(_terms(spec, width, count), _terms(spec, self.width, len(self.groups)))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [term.eq(sum(x.terms[k] for k in group)) for term, group in zip(y.terms, self.groups, strict=True)]
        m.d.comb += [y.scale.eq(x.scale), y.last.eq(x.last)]


class _Scale(Stage):
    """Times log2(e) / sqrt(head_dim)."""

    def __init__(self, spec: AttentionSpec, width: int) -> None:
        self.factor = spec.scale
        super().__init__(_terms(spec, width, 1), _terms(spec, width + spec.scale.bit_length(), 1))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.terms[0].eq(x.terms[0] * self.factor), y.scale.eq(x.scale), y.last.eq(x.last)]


class _Round(Stage):
    """To a score."""

    def __init__(self, spec: AttentionSpec, i_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, score_beat(spec))

    def transform(self, m: Module, x, y) -> None:
        word, most = self.spec.score, self.spec.score_shift
        largest = sum((1 << made.scale_width) - 1 for made in (self.spec.query, self.spec.key))
        least = max(-word.width, most - largest)
        score = round_saturate(m, x.terms[0], most - x.scale, word, least, most)
        m.d.comb += [y.score.eq(score), y.last.eq(x.last)]


class Scores(Component):
    """`golden.units.attention.Attention.scores`.

    Starts when all queries and keys of a pass are stored, and forgets them when the last has been read.
    Latency from then: 5 cycles and one for each factor of `FAN_IN` = 16 in `head_dim`; one key a cycle, no bubble
    within a pass.

    Parameters
    ----------
    spec, heads, lanes, max_positions, passes: as in `gen.units.attention.Attention`.

    Attributes
    ----------
    q, k: streams of beats of `spec.query` and `spec.key`, packets are heads, in.
    q_ends, k_ends: streams of one bit a position, in: it is the last of its pass.
    o: stream of `score_beat(spec)`, out.
    """

    def __init__(self, spec: AttentionSpec, heads: int, lanes: int, max_positions: int, passes: int) -> None:
        self.spec, self.heads, self.lanes, self.max_positions = spec, heads, lanes, max_positions
        self.passes = passes
        super().__init__(
            {
                "q": In(stream.Signature(activations(spec.query, lanes))),
                "k": In(stream.Signature(activations(spec.key, lanes))),
                "q_ends": In(stream.Signature(unsigned(1))),
                "k_ends": In(stream.Signature(unsigned(1))),
                "o": Out(stream.Signature(score_beat(spec))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.multiply = multiply = _Multiply(spec)
        self._fetch(m, multiply.i)
        stages: list[Stage] = [multiply]
        width, count = multiply.width, spec.head_dim
        while count > 1:
            m.submodules[f"add_{count}"] = add = _Add(spec, width, count)
            stages.append(add)
            width, count = add.width, len(add.groups)
        m.submodules.scale = scale = _Scale(spec, width)
        m.submodules.round = rounding = _Round(spec, scale.o.payload.shape())
        chain(m, *stages, scale, rounding, wiring.flipped(self.o))
        return m

    def _fetch(self, m: Module, target) -> None:
        """Read the query and the key of each step of the walk."""
        arguments = self.heads, self.spec.head_dim, self.lanes, self.max_positions, self.passes
        m.submodules.q_memory = q = HeadMemory(self.spec.query, *arguments)
        m.submodules.k_memory = k = HeadMemory(self.spec.key, *arguments)
        m.submodules.walker = walker = KeyWalk(self.heads, self.max_positions)
        m.submodules.fetched = fetched = Keep(unsigned(1))
        at = walker.o.payload
        m.d.comb += [
            walker.go.eq(q.stored & k.stored),
            walker.positions.eq(k.positions),
            fetched.i.valid.eq(walker.o.valid),
            fetched.i.payload.eq(at.last),
            walker.o.ready.eq(fetched.i.ready),
            q.address.eq(at.query),
            k.address.eq(at.key),
            target.valid.eq(fetched.o.valid),
            fetched.o.ready.eq(target.ready),
            target.payload.last.eq(fetched.o.payload),
        ]
        for name, source, ends, store in (("q", self.q, self.q_ends, q), ("k", self.k, self.k_ends, k)):
            wiring.connect(m, wiring.flipped(source), store.i)
            wiring.connect(m, wiring.flipped(ends), store.ends)
            m.d.comb += [
                store.forget.eq(walker.done),
                store.enable.eq(walker.o.valid & walker.o.ready),
                target.payload[name].eq(store.word),
                target.payload[f"{name}_scale"].eq(store.scale),
            ]
