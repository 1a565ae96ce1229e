"""Passes of the sampler: tokens of a sequence out to the model, its predictions in."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, ValueLike, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.queue import Queue
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.embedding import token_shape
from hardloom.gen.units.sampler_slot import pass_shape, place
from hardloom.gen.units.span import span_shape

__all__ = ["Collector", "Sender", "going_shape", "sending_shape", "sent_shape"]


def going_shape(sequences: int, max_positions: int, kept: bool) -> data.StructLayout:
    """A pass, `pass_shape`; where keys and values are `kept`, of the positions from `first` to before `stop`."""
    position = unsigned(max_positions.bit_length())
    span = {"first": position, "stop": position} if kept else {}
    return data.StructLayout({**pass_shape(sequences, max_positions).members, **span})


def sending_shape(sequences: int, max_positions: int, kept: bool) -> data.StructLayout:
    """As `going_shape`, and the block in which tokens are wanted: its first position and the one behind it.

    `everything`: all of them are wanted, not the masks alone; `seen`: as `gen.units.span.span_shape` has it.
    """
    position = unsigned(max_positions.bit_length())
    members = {**going_shape(sequences, max_positions, kept).members, **({"seen": position} if kept else {})}
    return data.StructLayout({**members, "block_start": position, "block_end": position, "everything": unsigned(1)})


def span_of(one) -> tuple[ValueLike, ValueLike]:
    """The first position of a pass and the one behind it."""
    return (one.first, one.stop) if "stop" in one.shape().members else (0, one.positions)


def sent_shape(vocab_size: int) -> data.StructLayout:
    """`token_shape`, and whether the position is `wanted`: of the block, and masked where those alone are asked for."""
    return data.StructLayout({**token_shape(vocab_size).members, "wanted": unsigned(1)})


class Sender(Component):
    """Reads the tokens of each pass out of the sequence memory, one every other cycle at most; two wait to be taken.

    Attributes
    ----------
    i: stream of `sending_shape`, in; o: the passes alone, `going_shape`, each as its first token is read, out.
    spans: stream of `gen.units.span.span_shape`, with `o`, out; only where keys and values are kept.
    read, address: of the sequence memory, which answers in the next cycle, out; token: that answer, in.
    tokens: stream of `sent_shape`, out.
    """

    def __init__(
        self, vocab_size: int, mask_token_id: int, max_positions: int, sequences: int, kept: bool = False
    ) -> None:
        self.mask_token_id, self.max_positions, self.kept = mask_token_id, max_positions, kept
        shape, token = going_shape(sequences, max_positions, kept), sent_shape(vocab_size)
        spans = {"spans": Out(stream.Signature(span_shape(sequences, max_positions)))} if kept else {}
        super().__init__(
            {
                "i": In(stream.Signature(sending_shape(sequences, max_positions, kept))),
                "o": Out(stream.Signature(shape)),
                **spans,
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
        coming = Signal()
        coming_end = Signal()
        in_block = Signal()
        everything = Signal()
        one = self.i.payload
        begin, stop = span_of(one)
        at = begin + sent if self.kept else sent
        may = Signal()
        told = self.spans.ready if self.kept else Const(1)
        m.d.comb += [
            first.eq(sent == 0),
            closing.eq(at + 1 == stop),
            may.eq(self.i.valid & ahead.i.ready & ~coming),
            self.read.eq(may & (~first | (self.o.ready & told))),
            self.address.eq(place(self.i.payload.slot, at, self.max_positions)),
            self.i.ready.eq(self.read & closing),
            self.o.valid.eq(may & first & told),
            *(getattr(self.o.payload, name).eq(getattr(one, name)) for name in self.o.payload.shape().members),
            ahead.i.valid.eq(coming),
            ahead.i.payload.token.eq(self.token),
            ahead.i.payload.end.eq(coming_end),
            ahead.i.payload.wanted.eq(in_block & (everything | (self.token == self.mask_token_id))),
        ]
        if self.kept:
            m.d.comb += [
                self.spans.valid.eq(may & first & self.o.ready),  # before it is taken: layers whose clocks stand wake
                *(self.spans.payload[name].eq(one[name]) for name in self.spans.payload.shape().members),
            ]
            both = data.ArrayLayout(one.stop.shape(), 2)
            add_probe(m, "span", self.spans, 2, value=data.View(both, Cat(one.first, one.stop)))
        m.d.sync += coming.eq(self.read)
        with m.If(self.read):
            m.d.sync += [
                coming_end.eq(closing),
                in_block.eq((at >= one.block_start) & (at < one.block_end)),
                everything.eq(one.everything),
                sent.eq(Mux(closing, 0, sent + 1)),
            ]
        return m


class Collector(Component):
    """Writes the predictions of each pass into the memory of results, where they come in order of position.

    shift: positions by which a prediction is ahead of the position whose logits it is made of, 0 or 1.

    Attributes
    ----------
    i: stream of `going_shape` in the order in which they were sent, in; o: those that are complete, `pass_shape`, out.
    passed: stream of one bit a position, which is behind the layers, in: whether there is a prediction of it.
    result: stream of predictions of shape `result`, in.
    write, address: of the memory of results, out; its data are those of `result`.
    """

    def __init__(
        self, result: ShapeLike, max_positions: int, sequences: int, kept: bool = False, shift: int = 0
    ) -> None:
        self.max_positions, self.shift = max_positions, shift
        shape: data.StructLayout = pass_shape(sequences, max_positions)
        super().__init__(
            {
                "i": In(stream.Signature(going_shape(sequences, max_positions, kept))),
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
        begin, stop = span_of(self.i.payload)
        named = [(getattr(self.o.payload, n), getattr(self.i.payload, n)) for n in self.o.payload.shape().members]
        m.d.comb += [
            closing.eq(begin + seen + 1 == stop),
            here.eq(self.i.valid & self.passed.valid & (self.result.valid | ~self.passed.payload)),
            step.eq(here & (self.o.ready | ~closing)),
            self.passed.ready.eq(step),
            self.result.ready.eq(step & self.passed.payload),
            self.write.eq(self.result.ready),
            self.address.eq(place(self.i.payload.slot, begin + seen + self.shift, self.max_positions)),
            self.o.valid.eq(here & closing),
            *(target.eq(source) for target, source in named),
            self.i.ready.eq(step & closing),
        ]
        with m.If(step):
            m.d.sync += seen.eq(Mux(closing, 0, seen + 1))
        return m
