"""Weighted sum of a token's experts."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import Stage, beat, chain
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
        total_width = width + (self.top_k - 1).bit_length()
        m.submodules.multiply = multiply = _Multiply(self.i.payload.shape(), width, lanes)
        m.submodules.round = rounding = Round(spec.word, wide_beat(total_width, lanes), spec.weight_frac)
        chain(m, wiring.flipped(self.i), multiply)
        chain(m, rounding, wiring.flipped(self.o))

        totals = data.ArrayLayout(signed(total_width), lanes)
        storage: memory.Memory
        m.submodules.totals = storage = memory.Memory(shape=totals, depth=self.beats, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        index = Signal(range(self.beats))
        turn = Signal(range(self.top_k))
        final = turn == self.top_k - 1
        source, sink = multiply.o, rounding.i
        total = Signal(totals)
        for k in range(lanes):
            m.d.comb += total[k].eq(Mux(turn == 0, 0, read.data[k]) + source.payload.data[k])
        m.d.comb += [
            sink.payload.data.eq(total),
            sink.payload.last.eq(source.payload.last),
            sink.valid.eq(source.valid & final),
            source.ready.eq(sink.ready | ~final),
            read.addr.eq(index),
            write.addr.eq(index),
            write.data.eq(total),
            write.en.eq(source.valid & source.ready),
        ]
        with m.If(source.valid & source.ready):
            m.d.sync += index.eq(Mux(source.payload.last, 0, index + 1))
            with m.If(source.payload.last):
                m.d.sync += turn.eq(Mux(final, 0, turn + 1))
        return m
