"""Passes of the sampler: tokens of a sequence out to the model, its predictions in."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.queue import Queue
from gen.text.constant_module import index_width
from gen.units.embedding import token_shape
from gen.units.sampler_slot import pass_shape, place

__all__ = ["Collector", "Sender", "sending_shape", "sent_shape"]


def sending_shape(sequences: int, max_positions: int) -> data.StructLayout:
    """A pass, `pass_shape`, and the block in which tokens are wanted: its first position and the one behind it."""
    position = unsigned(max_positions.bit_length())
    members = pass_shape(sequences, max_positions).members
    return data.StructLayout({**members, "block_start": position, "block_end": position})


def sent_shape(vocab_size: int) -> data.StructLayout:
    """`token_shape`, and whether the position is `wanted`: masked, within the block, so that its token may commit."""
    return data.StructLayout({**token_shape(vocab_size).members, "wanted": unsigned(1)})


class Sender(Component):
    """Reads the tokens of each pass out of the sequence memory, one every other cycle at most; two wait to be taken.

    Attributes
    ----------
    i: stream of `sending_shape`, in; o: the passes alone, each as its first token is read, out.
    read, address: of the sequence memory, which answers in the next cycle, out; token: that answer, in.
    tokens: stream of `sent_shape`, out.
    """

    def __init__(self, vocab_size: int, mask_token_id: int, max_positions: int, sequences: int) -> None:
        self.mask_token_id, self.max_positions = mask_token_id, max_positions
        shape, token = pass_shape(sequences, max_positions), sent_shape(vocab_size)
        super().__init__(
            {
                "i": In(stream.Signature(sending_shape(sequences, max_positions))),
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
        coming, coming_end, in_block = Signal(), Signal(), Signal()
        one = self.i.payload
        m.d.comb += [
            first.eq(sent == 0),
            closing.eq(sent + 1 == self.i.payload.positions),
            self.read.eq(self.i.valid & ahead.i.ready & ~coming & (self.o.ready | ~first)),
            self.address.eq(place(self.i.payload.slot, sent, self.max_positions)),
            self.i.ready.eq(self.read & closing),
            self.o.valid.eq(self.i.valid & ahead.i.ready & ~coming & first),
            self.o.payload.slot.eq(one.slot),
            self.o.payload.positions.eq(one.positions),
            ahead.i.valid.eq(coming),
            ahead.i.payload.token.eq(self.token),
            ahead.i.payload.end.eq(coming_end),
            ahead.i.payload.wanted.eq(in_block & (self.token == self.mask_token_id)),
        ]
        m.d.sync += coming.eq(self.read)
        with m.If(self.read):
            m.d.sync += [
                coming_end.eq(closing),
                in_block.eq((sent >= one.block_start) & (sent < one.block_end)),
                sent.eq(Mux(closing, 0, sent + 1)),
            ]
        return m


class Collector(Component):
    """Writes the predictions of each pass into the memory of results, where they come in order of position.

    Attributes
    ----------
    i: stream of `pass_shape` in the order in which they were sent, in; o: those that are complete, out.
    passed: stream of one bit a position, which is behind the layers, in: whether there is a prediction of it.
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
                "passed": In(stream.Signature(unsigned(1))),
                "result": In(stream.Signature(result)),
                "write": Out(1),
                "address": Out(index_width(sequences * max_positions)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        seen = Signal.like(self.i.payload.positions)
        closing, here, step = Signal(), Signal(), Signal()
        m.d.comb += [
            closing.eq(seen + 1 == self.i.payload.positions),
            here.eq(self.i.valid & self.passed.valid & (self.result.valid | ~self.passed.payload)),
            step.eq(here & (self.o.ready | ~closing)),
            self.passed.ready.eq(step),
            self.result.ready.eq(step & self.passed.payload),
            self.write.eq(self.result.ready),
            self.address.eq(place(self.i.payload.slot, seen, self.max_positions)),
            self.o.valid.eq(here & closing),
            self.o.payload.eq(self.i.payload),
            self.i.ready.eq(step & closing),
        ]
        with m.If(step):
            m.d.sync += seen.eq(Mux(closing, 0, seen + 1))
        return m
