"""First half of attention: base-2 logits of all keys of every (position, head), one a cycle."""

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import SCALE_WIDTH, Keep, Stage, beat, chain
from gen.units.head_memory import WIDTH, HeadMemory, KeyWalk
from gen.units.rounding import round_saturate
from golden.units.attention import Attention as AttentionSpec

__all__ = ["Scores", "score_beat"]

FAN_IN = 16
"""Operands of one registered stage of the adder tree."""


def score_beat(spec: AttentionSpec) -> data.StructLayout:
    """One key's `score`; `last` with the last key of a (position, head)."""
    return data.StructLayout({"score": signed(spec.score.width), "last": unsigned(1)})


def _terms(width: int, count: int) -> data.StructLayout:
    """Terms of a dot product still to be added, with the sum of both scales."""
    return data.StructLayout(
        {"terms": data.ArrayLayout(signed(width), count), "scale": unsigned(SCALE_WIDTH + 1), "last": unsigned(1)}
    )


class _Multiply(Stage):
    """Products of a query's and a key's elements."""

    def __init__(self, head_dim: int) -> None:
        vector = data.ArrayLayout(signed(WIDTH), head_dim)
        pair = {"q": vector, "k": vector, "q_scale": SCALE_WIDTH, "k_scale": SCALE_WIDTH, "last": unsigned(1)}
        super().__init__(data.StructLayout(pair), _terms(2 * WIDTH, head_dim))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [term.eq(q * k) for term, q, k in zip(y.terms, x.q, x.k, strict=True)]
        m.d.comb += [y.scale.eq(x.q_scale + x.k_scale), y.last.eq(x.last)]


class _Add(Stage):
    """Adds groups of up to `FAN_IN` terms."""

    def __init__(self, width: int, count: int) -> None:
        self.groups = [range(start, min(start + FAN_IN, count)) for start in range(0, count, FAN_IN)]
        self.width = width + (min(FAN_IN, count) - 1).bit_length()
        super().__init__(_terms(width, count), _terms(self.width, len(self.groups)))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [term.eq(sum(x.terms[k] for k in group)) for term, group in zip(y.terms, self.groups, strict=True)]
        m.d.comb += [y.scale.eq(x.scale), y.last.eq(x.last)]


class _Scale(Stage):
    """Times log2(e) / sqrt(head_dim)."""

    def __init__(self, spec: AttentionSpec, width: int) -> None:
        self.factor = spec.scale
        super().__init__(_terms(width, 1), _terms(width + spec.scale.bit_length(), 1))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.terms[0].eq(x.terms[0] * self.factor), y.scale.eq(x.scale), y.last.eq(x.last)]


class _Round(Stage):
    """To a score."""

    def __init__(self, spec: AttentionSpec, i_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, score_beat(spec))

    def transform(self, m: Module, x, y) -> None:
        word, most = self.spec.score, self.spec.score_shift
        least = max(-word.width, most - 2 * ((1 << SCALE_WIDTH) - 1))
        score = round_saturate(m, x.terms[0], most - x.scale, word, least, most)
        m.d.comb += [y.score.eq(score), y.last.eq(x.last)]


class Scores(Component):
    """`golden.units.attention.Attention.scores`.

    Starts when all queries and keys of a pass are stored and takes the next pass's when the last has been read.
    Latency from then: 5 cycles and one for each factor of `FAN_IN` = 16 in `head_dim`; one key a cycle, no bubble
    within a pass.

    Parameters
    ----------
    spec, heads, lanes, max_positions: as in `gen.units.attention.Attention`.

    Attributes
    ----------
    q, k: streams of int8 beats, packets are heads, in.
    positions: positions of the pass, in.
    o: stream of `score_beat(spec)`, out.
    """

    def __init__(self, spec: AttentionSpec, heads: int, lanes: int, max_positions: int) -> None:
        self.spec, self.heads, self.lanes, self.max_positions = spec, heads, lanes, max_positions
        super().__init__(
            {
                "q": In(stream.Signature(beat(WIDTH, lanes))),
                "k": In(stream.Signature(beat(WIDTH, lanes))),
                "positions": In(range(max_positions + 1)),
                "o": Out(stream.Signature(score_beat(spec))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.multiply = multiply = _Multiply(spec.head_dim)
        self._fetch(m, multiply.i)
        stages: list[Stage] = [multiply]
        width, count = 2 * WIDTH, spec.head_dim
        while count > 1:
            m.submodules[f"add_{count}"] = add = _Add(width, count)
            stages.append(add)
            width, count = add.width, len(add.groups)
        m.submodules.scale = scale = _Scale(spec, width)
        m.submodules.round = rounding = _Round(spec, scale.o.payload.shape())
        chain(m, *stages, scale, rounding, wiring.flipped(self.o))
        return m

    def _fetch(self, m: Module, target) -> None:
        """Read the query and the key of each step of the walk."""
        arguments = self.heads, self.spec.head_dim, self.lanes, self.max_positions
        m.submodules.q_memory = q = HeadMemory(*arguments)
        m.submodules.k_memory = k = HeadMemory(*arguments)
        m.submodules.walker = walker = KeyWalk(self.heads, self.max_positions)
        m.submodules.fetched = fetched = Keep(unsigned(1))
        at = walker.o.payload
        m.d.comb += [
            walker.go.eq(q.full & k.full),
            walker.positions.eq(self.positions),
            fetched.i.valid.eq(walker.o.valid),
            fetched.i.payload.eq(at.last),
            walker.o.ready.eq(fetched.i.ready),
            q.address.eq(at.query),
            k.address.eq(at.key),
            target.valid.eq(fetched.o.valid),
            fetched.o.ready.eq(target.ready),
            target.payload.last.eq(fetched.o.payload),
        ]
        for name, source, store in (("q", self.q, q), ("k", self.k, k)):
            wiring.connect(m, wiring.flipped(source), store.i)
            m.d.comb += [
                store.positions.eq(self.positions),
                store.forget.eq(walker.done),
                store.enable.eq(walker.o.valid & walker.o.ready),
                target.payload[name].eq(store.word),
                target.payload[f"{name}_scale"].eq(store.scale),
            ]
