"""Weighted sum of a token's experts, group by group."""

from functools import reduce
from operator import add

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import Queue
from hardloom.gen.stream.stream import Keep, Stage, beat, chain
from hardloom.gen.units.rounding import Round, wide_beat
from hardloom.golden.units.combine import Combine as CombineSpec
from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Combine", "WeightedSum", "exact_sums"]


def exact_sums(word: FixedPoint, weight: Shape, lanes: int, top_k: int) -> data.StructLayout:
    """Beat of the sum of up to `top_k` fixed-point vectors by weights of shape `weight`, not rounded."""
    return wide_beat(word.width + weight.width + (top_k - 1).bit_length(), lanes)


class _Multiply(Stage):
    """x * weight."""

    def __init__(self, i_shape: data.StructLayout, width: int, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(i_shape, data.StructLayout({**wide_beat(width, lanes).members, "final": unsigned(1)}))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.last.eq(x.beat.last), y.final.eq(x.final)]
        m.d.comb += [y.data[k].eq(x.beat.data[k] * x.weight) for k in range(self.lanes)]


class WeightedSum(Component):
    """The exact sum of a token's packets by their weights: up to `top_k` packets in, the last one `final`; one out.

    The sum leaves while the final packet arrives. Latency 1 cycle from there, throughput 1 beat in a cycle.

    Parameters
    ----------
    word: of the packets.
    weight: shape of a router weight (`gen.units.router.choice`).
    sums: layout of `exact_sums`.
    beats: beats a packet.
    packets: of a token, at most.

    Attributes
    ----------
    i: stream of {`beat`: fixed-point beat, `weight`: the expert's router weight, 65536 = 1, `final`}, in.
    o: stream of `sums`, out.
    """

    def __init__(self, word: FixedPoint, weight: Shape, sums: data.StructLayout, beats: int, packets: int) -> None:
        if packets < 1:
            raise ValueError(f"packets must be at least 1, not {packets}")
        self.lanes, self.beats, self.packets = sums.members["data"].length, beats, packets
        self.width = word.width + weight.width
        i_shape = data.StructLayout({"beat": beat(word.width, self.lanes), "weight": weight, "final": unsigned(1)})
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(sums))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.multiply = multiply = _Multiply(self.i.payload.shape(), self.width, self.lanes)
        chain(m, wiring.flipped(self.i), multiply)
        if self.packets > 1:
            self._add(m, multiply.o, self.o)
        else:
            self._give(m, multiply.o)
        return m

    def _give(self, m: Module, source) -> None:
        """A token's only packet, as wide as a sum."""
        m.d.comb += [self.o.valid.eq(source.valid), source.ready.eq(self.o.ready)]
        m.d.comb += self.o.payload.last.eq(source.payload.last)
        m.d.comb += [total.eq(x) for total, x in zip(self.o.payload.data, source.payload.data, strict=True)]

    def _add(self, m: Module, source, sink) -> None:
        """The sums so far go round, a packet of them: each beat is taken out, added to and put back, for which there is
        always room; the final packet's go to `sink`."""
        shape = sink.payload.data.shape()
        m.submodules.totals = totals = Queue(shape, self.beats + 1) if self.beats > 1 else Keep(shape)
        first = Signal(init=1)
        final = source.payload.final
        step = Signal()
        m.d.comb += [
            step.eq(source.valid & (first | totals.o.valid) & (~final | sink.ready)),
            source.ready.eq(step),
            totals.o.ready.eq(step & ~first),
            totals.i.valid.eq(step & ~final),
            totals.i.payload.eq(sink.payload.data),
            sink.valid.eq(source.valid & final & (first | totals.o.valid)),
            sink.payload.last.eq(source.payload.last),
        ]
        for total, before, x in zip(sink.payload.data, totals.o.payload, source.payload.data, strict=True):
            m.d.comb += total.eq(Mux(first, 0, before) + x)
        with m.If(step & source.payload.last):
            m.d.sync += first.eq(final)


class Combine(Component):
    """`golden.units.combine.Combine`: sums of groups of experts in, their sum out, rounded once.

    Latency 1 cycle, 2 with several groups; throughput 1 beat in a cycle.

    Parameters
    ----------
    spec: specification.
    sums: layout of `exact_sums`.
    groups: of experts.

    Attributes
    ----------
    i: a stream of `sums` a group, in.
    shares: only with several groups, stream of a bit a group, in: an item a token, which has experts in these groups.
    o: stream of fixed-point beats, out.
    """

    def __init__(self, spec: CombineSpec, sums: data.StructLayout, groups: int = 1) -> None:
        self.spec, self.sums, self.groups = spec, sums, groups
        lanes = sums.members["data"].length
        shares = {"shares": In(stream.Signature(groups))} if groups > 1 else {}
        o = Out(stream.Signature(beat(spec.word.width, lanes)))
        super().__init__({"i": In(stream.Signature(sums)).array(groups), **shares, "o": o})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.round = rounding = Round(self.spec.word, self.sums, self.spec.weight_frac)
        chain(m, rounding, wiring.flipped(self.o))
        if self.groups == 1:
            chain(m, wiring.flipped(self.i[0]), rounding)
        else:
            m.submodules.total = total = Keep(self.sums)
            self._join(m, total.i)
            chain(m, total, rounding)
        return m

    def _join(self, m: Module, sink) -> None:
        """Beats of the groups that have a share in a token's sum, added when all of them are there."""
        share = self.shares.payload
        taken = Signal()
        m.d.comb += [
            sink.valid.eq(self.shares.valid & Cat(i.valid | ~share[p] for p, i in enumerate(self.i)).all()),
            sink.payload.last.eq(Cat(i.payload.last & share[p] for p, i in enumerate(self.i)).any()),
            taken.eq(sink.valid & sink.ready),
            self.shares.ready.eq(taken & sink.payload.last),
        ]
        for k, total in enumerate(sink.payload.data):
            m.d.comb += total.eq(reduce(add, (Mux(share[p], i.payload.data[k], 0) for p, i in enumerate(self.i))))
        m.d.comb += [i.ready.eq(taken & share[p]) for p, i in enumerate(self.i)]
