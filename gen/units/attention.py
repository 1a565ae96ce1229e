"""Attention of all heads: scores, running maximum, weighted sum, division."""

from amaranth.hdl import Module, Mux, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import PacketDelay, activations, beat, chain
from hardloom.gen.units.attention_divide import Divide
from hardloom.gen.units.attention_mix import Mix
from hardloom.gen.units.attention_order import PositionOrder
from hardloom.gen.units.attention_scores import Scores, score_beat
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.span import span_streams

__all__ = ["Attention"]


class _LargestScore(PacketDelay):
    """Statistic of the scores of a group of queries and heads: the largest of each pair."""

    def __init__(self, sizes: AttentionSizes) -> None:
        largest = data.ArrayLayout(signed(sizes.spec.score.width), sizes.pairs)
        super().__init__(score_beat(sizes), largest, 2 * sizes.max_positions + 2)

    def fold(self, m: Module, stat, first, x, y) -> None:
        for score, before, after in zip(x.scores, stat, y, strict=True):
            m.d.comb += after.eq(Mux(first | (score > before), score, before))


class Attention(Component):
    """`golden.units.attention.Attention` of every head of every position, each over all positions, or by blocks.

    A pass: `heads` packets a position arrive at `q`, and as many or `key_heads` at `k` and `v` (positions in order,
    heads in order within), and a packet of heads * head_dim elements a position leaves. Nothing is computed before all
    of a pass's queries and keys have arrived. A pass is held until its last query, key or value has been read; the next
    one is taken meanwhile where `passes` is 2, and where it is 1 `ready` is low from the end of a pass until then.

    Throughput: one key a cycle for every pair (`AttentionSizes.pairs`), so for a group of `query_lanes` positions and
    `head_lanes` heads as many cycles as there are positions, without a bubble between groups, as long as that is at
    least pairs * head_dim / lanes + 2; for fewer positions the division is the slowest and holds the rest. Latency:
    about 2 * positions + 20 cycles from the last key to the first beat, and more where positions are interleaved: all
    groups of heads come before it.

    Parameters
    ----------
    sizes: specification, and how much is done at once.

    Attributes
    ----------
    q, k, v: streams of beats of `spec.query`, `spec.key` and `spec.value`, packets are heads, in.
    q_ends, k_ends, v_ends: streams of one bit a position, in: it is the last of its pass.
    k_spans, v_spans: streams of `gen.units.span.span_shape`, one a pass, in; only where keys and values are kept
        (`AttentionSizes.slots`): a pass then has the positions of its slot from `first` to before `stop`.
    o: stream of fixed-point beats (`spec.word.width` bits), packets are positions, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes, spec, lanes = sizes, sizes.spec, sizes.lanes
        super().__init__(
            {
                "q": In(stream.Signature(activations(spec.query, lanes))),
                "k": In(stream.Signature(activations(spec.key, lanes))),
                "v": In(stream.Signature(activations(spec.value, lanes))),
                **{f"{name}_ends": In(stream.Signature(unsigned(1))) for name in "qkv"},
                **span_streams(sizes.slots, sizes.max_positions, "k_spans", "v_spans"),
                "o": Out(stream.Signature(beat(spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        m.submodules.scores = scores = Scores(sizes)
        m.submodules.largest = top = _LargestScore(sizes)
        m.submodules.mix = mix = Mix(sizes)
        m.submodules.divide = divide = Divide(sizes)
        parts: list[Component] = [scores, top, mix, divide]
        if sizes.interleaved:
            m.submodules.order = order = PositionOrder(sizes)
            parts.append(order)
        for source, sink in (
            (self.q, scores.q),
            (self.k, scores.k),
            (self.v, mix.v),
            (self.q_ends, scores.q_ends),
            (self.k_ends, scores.k_ends),
            (self.v_ends, mix.ends),
        ):
            wiring.connect(m, wiring.flipped(source), sink)
        if sizes.slots:
            wiring.connect(m, wiring.flipped(self.k_spans), scores.k_spans)
            wiring.connect(m, wiring.flipped(self.v_spans), mix.spans)
        chain(m, *parts, wiring.flipped(self.o))
        value, heads, queries = scores.o.payload.scores, sizes.head_lanes, sizes.query_lanes
        block = sizes.spec.block_length or 0
        add_probe(m, "attention.scores", scores.o, 0, sizes.groups, value, banks=heads, positions=queries, block=block)
        return m
