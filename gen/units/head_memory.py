"""Memories of a forward pass's queries, keys and values, a head vector a word; a second pass is loaded meanwhile."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.ram import Ram
from gen.stream.stream import activations
from gen.text.constant_module import index_width
from golden.units.quantize import Quantize

__all__ = ["HeadMemory", "KeyWalk", "ValueMemory", "walk"]


class HeadMemory(Component):
    """Stores passes: positions times `heads` packets each, word = position * heads + head.

    While `stored`, words of the oldest pass that is complete may be read, which takes one cycle, until `forget`.
    Packets of the next one are taken meanwhile where `passes` is 2, and are not where it is 1.

    Parameters
    ----------
    spec: what made the packets.
    heads: packets a position.
    head_dim: elements a packet.
    lanes: elements a beat, divides `head_dim`.
    max_positions: most positions of a pass.
    passes: that are held at once, 1 or 2.
    ports: of a subclass.

    Attributes
    ----------
    i: stream of beats of `spec`, in.
    ends: stream of one bit a position, in: it is the last of its pass.
    stored: a pass is complete, out; positions: it has so many, out; forget: it is done with, in.
    address, enable: word to read, in; word: `head_dim` elements, scale: of the last word read, out.
    """

    def __init__(
        self,
        spec: Quantize,
        heads: int,
        head_dim: int,
        lanes: int,
        max_positions: int,
        passes: int,
        ports: dict | None = None,
    ) -> None:
        self.spec, self.max_positions, self.passes = spec, max_positions, passes
        self.heads, self.head_dim, self.lanes = heads, head_dim, lanes
        super().__init__(
            {
                "i": In(stream.Signature(activations(spec, lanes))),
                "ends": In(stream.Signature(unsigned(1))),
                "stored": Out(1),
                "positions": Out(range(max_positions + 1)),
                "forget": In(1),
                "address": In(index_width(heads * max_positions)),
                "enable": In(1),
                "word": Out(data.ArrayLayout(signed(spec.width), head_dim)),
                "scale": Out(spec.scale_width),
                **(ports or {}),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        x = self.i.payload
        take = Signal()
        closing = Signal()
        index = Signal(range(self.head_dim // self.lanes))
        head = Signal(range(self.heads))
        position = Signal(range(self.max_positions))
        address = Signal.like(self.address)
        held = Signal(range(self.passes + 1))
        final = x.last & (head == self.heads - 1)
        ending = closing & final & self.ends.payload
        m.d.comb += [
            self.i.ready.eq((held != self.passes) & (self.ends.valid | ~final)),
            take.eq(self.i.valid & self.i.ready),
            closing.eq(take & x.last),
            self.ends.ready.eq(take & final),
            self.stored.eq(held != 0),
        ]
        m.d.sync += held.eq(held + ending - self.forget)
        with m.If(take):
            m.d.sync += index.eq(Mux(x.last, 0, index + 1))
        with m.If(closing):
            m.d.sync += [head.eq(Mux(final, 0, head + 1)), address.eq(Mux(ending, 0, address + 1))]
            with m.If(final):
                m.d.sync += position.eq(Mux(ending, 0, position + 1))
        put, get = self._banks(m, ending, position)
        self.store(m, take, index, (address, put), (self.address, get))
        self.watch(m, closing, position == 0, put, get)
        return m

    def _banks(self, m: Module, ending, position: Signal) -> tuple[Value, Value]:
        """Bank of the pass that comes and of the one that is read, each with its length."""
        lengths = [Signal.like(self.positions, name=f"length_{bank}") for bank in range(self.passes)]
        put: Value = Const(0)
        get: Value = Const(0)
        if self.passes > 1:
            put, get = Signal(name="put_bank"), Signal(name="get_bank")
            m.d.sync += [put.eq(put ^ ending), get.eq(get ^ self.forget)]
        for bank, length in enumerate(lengths):
            with m.If(ending & (put == bank)):
                m.d.sync += length.eq(position + 1)
        m.d.comb += self.positions.eq(Mux(get, lengths[-1], lengths[0]))
        return put, get

    def store(self, m: Module, take, index, write, read) -> None:
        """Write each beat into its part of the word; read whole words; each at a place and a bank."""
        parts, words_each = self.head_dim // self.lanes, self.heads * self.max_positions
        depth = self.passes * words_each
        m.submodules.words = words = Ram(self.word.shape(), depth, parts, name="words")
        m.submodules.scales = scales = Ram(self.spec.scale_width, depth, name="scales")
        m.d.comb += [
            words.write_data.eq(self.i.payload.data.as_value().replicate(parts)),
            words.write_mask.eq(1 << index),
            scales.write_data.eq(self.i.payload.scale),
            self.word.eq(words.read_data),
            self.scale.eq(scales.read_data),
        ]
        for storage in (words, scales):
            m.d.comb += [
                storage.write_enable.eq(take),
                storage.write_address.eq(write[0] + Mux(write[1], words_each, 0)),
                storage.read_enable.eq(self.enable),
                storage.read_address.eq(read[0] + Mux(read[1], words_each, 0)),
            ]

    def watch(self, m: Module, closing, first, put, get) -> None:
        """Called with each packet's end, whether its position is the first, and both banks: nothing to do here."""


class ValueMemory(HeadMemory):
    """A `HeadMemory` that knows the largest scale of each head, in a ring of registers a pass: heads come one after the
    other.

    Attributes
    ----------
    top: while `stored`, the largest scale of a head's packets, of head 0 first, out; turn: to the next head, in.
    """

    def __init__(self, spec: Quantize, heads: int, head_dim: int, lanes: int, max_positions: int, passes: int) -> None:
        ports = {"turn": In(1), "top": Out(spec.scale_width)}
        super().__init__(spec, heads, head_dim, lanes, max_positions, passes, ports)

    def watch(self, m: Module, closing, first, put, get) -> None:
        width, scale = self.spec.scale_width, self.i.payload.scale
        rings = [Signal(self.heads * width, name=f"ring_{bank}") for bank in range(self.passes)]
        for bank, ring in enumerate(rings):
            top = ring[:width]
            new = closing & (put == bank)
            with m.If(new | (self.turn & (get == bank))):
                m.d.sync += ring.eq(Cat(ring[width:], Mux(new & (first | (scale > top)), scale, top)))
        m.d.comb += self.top.eq(Mux(get, rings[-1][:width], rings[0][:width]))


def walk(heads: int, max_positions: int) -> data.StructLayout:
    """One key of one (position, head): words of `key` and `query` in their memories, whether the `last` key."""
    words = unsigned(index_width(heads * max_positions))
    return data.StructLayout({"key": words, "query": words, "last": unsigned(1)})


class KeyWalk(Component):
    """All keys of every (position, head) of a pass, positions in order, heads in order within.

    Latency 0, one key a cycle, none missing between one head and the next.

    Parameters
    ----------
    heads, max_positions: as in `HeadMemory`.

    Attributes
    ----------
    go: a pass is stored, in; done: its last key is taken in this cycle, out.
    positions: positions of the pass, in.
    o: stream of `walk(heads, max_positions)`, out.
    """

    def __init__(self, heads: int, max_positions: int) -> None:
        self.heads = heads
        super().__init__(
            {
                "go": In(1),
                "done": Out(1),
                "positions": In(range(max_positions + 1)),
                "o": Out(stream.Signature(walk(heads, max_positions))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        heads, at = self.heads, self.o.payload
        place = Signal.like(self.positions)
        position = Signal.like(self.positions)
        key = Signal.like(at.key)
        query = Signal.like(at.query)
        head = Signal(range(heads))
        last = Signal()
        turn = Signal()
        ending = Signal()
        m.d.comb += [
            last.eq(place == self.positions - 1),
            turn.eq(last & (head == heads - 1)),
            ending.eq(turn & (position == self.positions - 1)),
            self.o.valid.eq(self.go),
            at.key.eq(key),
            at.query.eq(query),
            at.last.eq(last),
            self.done.eq(self.o.valid & self.o.ready & ending),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [place.eq(place + 1), key.eq(key + heads)]
            with m.If(last):
                m.d.sync += [place.eq(0), key.eq(head + 1), head.eq(head + 1), query.eq(query + 1)]
            with m.If(turn):
                m.d.sync += [key.eq(0), head.eq(0), position.eq(position + 1)]
            with m.If(ending):
                m.d.sync += [position.eq(0), query.eq(0)]
        return m
