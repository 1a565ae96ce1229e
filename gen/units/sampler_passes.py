"""Passes of the sampler: tokens of a sequence out to the model, its predictions in."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.queue import Queue
from gen.text.constant_module import index_width
from gen.units.embedding import token_shape
from gen.units.sampler_slot import pass_shape, place

__all__ = ["Collector", "Sender"]


class Sender(Component):
    """Reads the tokens of each pass out of the sequence memory, one every other cycle at most; two wait to be taken.

    Attributes
    ----------
    i: stream of `pass_shape`, in; o: the same passes, each as its first token is read, out.
    read, address: of the sequence memory, which answers in the next cycle, out; token: that answer, in.
    tokens: stream of `token_shape`, out.
    """

    def __init__(self, vocab_size: int, max_positions: int, sequences: int) -> None:
        self.max_positions = max_positions
        shape, token = pass_shape(sequences, max_positions), token_shape(vocab_size)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "read": Out(1),
                "address": Out(index_width(sequences * max_positions)),
                "token": In(token.members["token"]),
                "tokens": Out(stream.Signature(token)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.ahead = ahead = Queue(self.tokens.payload.shape(), 2)
        wiring.connect(m, ahead.o, wiring.flipped(self.tokens))
        sent = Signal.like(self.i.payload.positions)
        first, closing = Signal(), Signal()
        coming, coming_end = Signal(), Signal()
        m.d.comb += [
            first.eq(sent == 0),
            closing.eq(sent + 1 == self.i.payload.positions),
            self.read.eq(self.i.valid & ahead.i.ready & ~coming & (self.o.ready | ~first)),
            self.address.eq(place(self.i.payload.slot, sent, self.max_positions)),
            self.i.ready.eq(self.read & closing),
            self.o.valid.eq(self.i.valid & ahead.i.ready & ~coming & first),
            self.o.payload.eq(self.i.payload),
            ahead.i.valid.eq(coming),
            ahead.i.payload.token.eq(self.token),
            ahead.i.payload.end.eq(coming_end),
        ]
        m.d.sync += coming.eq(self.read)
        with m.If(self.read):
            m.d.sync += [coming_end.eq(closing), sent.eq(Mux(closing, 0, sent + 1))]
        return m


class Collector(Component):
    """Writes the predictions of each pass into the memory of results, where they come in order of position.

    Attributes
    ----------
    i: stream of `pass_shape` in the order in which they were sent, in; o: those that are complete, out.
    result: stream of predictions of shape `result`, in.
    write, address: of the memory of results, out; its data are those of `result`.
    """

    def __init__(self, result: ShapeLike, max_positions: int, sequences: int) -> None:
        self.max_positions = max_positions
        shape: data.StructLayout = pass_shape(sequences, max_positions)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "result": In(stream.Signature(result)),
                "write": Out(1),
                "address": Out(index_width(sequences * max_positions)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        seen = Signal.like(self.i.payload.positions)
        closing = Signal()
        m.d.comb += [
            closing.eq(seen + 1 == self.i.payload.positions),
            self.result.ready.eq(self.i.valid & (self.o.ready | ~closing)),
            self.write.eq(self.result.valid & self.result.ready),
            self.address.eq(place(self.i.payload.slot, seen, self.max_positions)),
            self.o.valid.eq(self.i.valid & self.result.valid & closing),
            self.o.payload.eq(self.i.payload),
            self.i.ready.eq(self.write & closing),
        ]
        with m.If(self.write):
            m.d.sync += seen.eq(Mux(closing, 0, seen + 1))
        return m
