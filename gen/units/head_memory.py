"""Memories of one forward pass's queries, keys and values, a head vector a word."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.ram import Ram
from gen.stream.stream import activations
from gen.text.constant_module import index_width
from golden.units.quantize import Quantize

__all__ = ["HeadMemory", "KeyWalk", "ValueMemory", "walk"]


class HeadMemory(Component):
    """Stores one pass: `positions` times `heads` packets, word = position * heads + head.

    Packets are taken until the pass is complete; then `full` is high and nothing is taken until `forget`. Reading
    takes one cycle. Words may be read while `full`.

    Parameters
    ----------
    spec: what made the packets.
    heads: packets a position.
    head_dim: elements a packet.
    lanes: elements a beat, divides `head_dim`.
    max_positions: most positions of a pass.
    ports: of a subclass.

    Attributes
    ----------
    i: stream of beats of `spec`, in.
    positions: positions of the pass, in.
    full: out; forget: the pass is done with, in.
    address, enable: word to read, in; word: `head_dim` elements, scale: of the last word read, out.
    """

    def __init__(
        self, spec: Quantize, heads: int, head_dim: int, lanes: int, max_positions: int, ports: dict | None = None
    ) -> None:
        self.spec, self.max_positions = spec, max_positions
        self.heads, self.head_dim, self.lanes = heads, head_dim, lanes
        super().__init__(
            {
                "i": In(stream.Signature(activations(spec, lanes))),
                "positions": In(range(max_positions + 1)),
                "full": Out(1),
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
        ending = (head == self.heads - 1) & (position == self.positions - 1)
        m.d.comb += [self.i.ready.eq(~self.full), take.eq(self.i.valid & ~self.full), closing.eq(take & x.last)]
        with m.If(take):
            m.d.sync += index.eq(Mux(x.last, 0, index + 1))
        with m.If(closing):
            m.d.sync += [
                head.eq(Mux(head == self.heads - 1, 0, head + 1)),
                address.eq(Mux(ending, 0, address + 1)),
                self.full.eq(ending),
            ]
            with m.If(head == self.heads - 1):
                m.d.sync += position.eq(Mux(ending, 0, position + 1))
        with m.If(self.forget):
            m.d.sync += self.full.eq(0)
        self.store(m, take, index, address)
        self.watch(m, closing, position == 0)
        return m

    def store(self, m: Module, take, index, address) -> None:
        """Write each beat into its part of the word; read whole words."""
        parts, depth = self.head_dim // self.lanes, self.heads * self.max_positions
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
                storage.write_address.eq(address),
                storage.read_enable.eq(self.enable),
                storage.read_address.eq(self.address),
            ]

    def watch(self, m: Module, closing, first) -> None:
        """Called with each packet's end, and whether its position is the first: nothing to do here."""


class ValueMemory(HeadMemory):
    """A `HeadMemory` that knows the largest scale of each head, in a ring of registers: heads come one after the other.

    Attributes
    ----------
    top: while `full`, the largest scale of a head's packets, of head 0 first, out; turn: to the next head, in.
    """

    def __init__(self, spec: Quantize, heads: int, head_dim: int, lanes: int, max_positions: int) -> None:
        ports = {"turn": In(1), "top": Out(spec.scale_width)}
        super().__init__(spec, heads, head_dim, lanes, max_positions, ports)

    def watch(self, m: Module, closing, first) -> None:
        width = self.spec.scale_width
        ring = Signal(self.heads * width)
        scale = self.i.payload.scale
        new = closing & (first | (scale > self.top))
        m.d.comb += self.top.eq(ring[:width])
        with m.If(closing | self.turn):
            m.d.sync += ring.eq(Cat(ring[width:], Mux(new, scale, self.top)))


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
