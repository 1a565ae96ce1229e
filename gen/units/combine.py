"""Weighted sum of a token's experts."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.queue import Queue
from gen.stream.stream import Keep, Stage, beat, chain
from gen.units.rounding import Round, wide_beat
from golden.units.combine import Combine as CombineSpec

__all__ = ["Combine"]


class _Multiply(Stage):
    """x * weight."""

    def __init__(self, i_shape: data.StructLayout, width: int, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(i_shape, wide_beat(width, lanes))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.beat.last)
        m.d.comb += [y.data[k].eq(x.beat.data[k] * x.weight) for k in range(self.lanes)]


class Combine(Component):
    """`golden.units.combine.Combine`: `top_k` packets in, one a chosen expert; their weighted sum out.

    The sum leaves while the last of the packets arrives. Latency 2 cycles from there, throughput 1 beat in a cycle.

    Parameters
    ----------
    spec: specification.
    weight: shape of a router weight (`gen.units.router.choice`).
    lanes: elements a beat.
    beats: beats a packet.
    top_k: packets a token, 1 or more.

    Attributes
    ----------
    i: stream of {`beat`: fixed-point beat, `weight`: the expert's router weight, 65536 = 1}, in.
    o: stream of fixed-point beats, out.
    """

    def __init__(self, spec: CombineSpec, weight: Shape, lanes: int, beats: int, top_k: int) -> None:
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        self.spec, self.weight, self.lanes, self.beats, self.top_k = spec, weight, lanes, beats, top_k
        shape = beat(spec.word.width, lanes)
        i_shape = data.StructLayout({"beat": shape, "weight": weight})
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, lanes = self.spec, self.lanes
        width = spec.word.width + self.weight.width
        total = wide_beat(width + (self.top_k - 1).bit_length(), lanes)
        m.submodules.multiply = multiply = _Multiply(self.i.payload.shape(), width, lanes)
        m.submodules.round = rounding = Round(spec.word, total, spec.weight_frac)
        chain(m, wiring.flipped(self.i), multiply)
        chain(m, rounding, wiring.flipped(self.o))
        if self.top_k == 1:
            chain(m, multiply, rounding)
        else:
            self._add(m, multiply.o, rounding.i)
        return m

    def _add(self, m: Module, source, sink) -> None:
        """The sums so far go round, a packet of them: each beat is taken out, added to and put back, for which there is
        always room; the last packet's go to `sink`."""
        shape = sink.payload.data.shape()
        m.submodules.totals = totals = Queue(shape, self.beats + 1) if self.beats > 1 else Keep(shape)
        turn = Signal(range(self.top_k))
        first, final = turn == 0, turn == self.top_k - 1
        ready = Mux(first, 1, totals.o.valid) & Mux(final, sink.ready, 1)
        step = Signal()
        m.d.comb += [
            step.eq(source.valid & ready),
            source.ready.eq(ready),
            totals.o.ready.eq(step & ~first),
            totals.i.valid.eq(step & ~final),
            totals.i.payload.eq(sink.payload.data),
            sink.valid.eq(source.valid & final & totals.o.valid),
            sink.payload.last.eq(source.payload.last),
        ]
        for total, before, x in zip(sink.payload.data, totals.o.payload, source.payload.data, strict=True):
            m.d.comb += total.eq(Mux(first, 0, before) + x)
        with m.If(step & source.payload.last):
            m.d.sync += turn.eq(Mux(final, 0, turn + 1))
