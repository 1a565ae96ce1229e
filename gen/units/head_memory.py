"""Memories of a forward pass's queries, keys and values, banked by head; a second pass is loaded meanwhile.

Keys and values of earlier passes are kept where a pass computes a part of a sequence (`gen.units.span`).
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import activations
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.span import span_streams
from hardloom.golden.units.quantize import Quantize

__all__ = ["HeadMemory", "ValueMemory"]


class HeadMemory(Component):
    """Stores passes: positions times `banks` * `groups` packets, heads, each, in a bank for each of `banks` heads.

    The banks have one address. Word (position // queries) * groups + head // banks of bank head % banks holds the
    vectors of `queries` positions.

    While `stored`, words of the oldest pass that is complete may be read, which takes one cycle, until `forget`; what
    was read stays until the next reading, and vectors behind the last position are undefined. Packets of the next pass
    are taken meanwhile where `passes` is 2, and are not where it is 1.

    Where `kept`, each slot has words of its own, and a pass overwrites those from its first position on. A slot's next
    pass comes when its last one has been forgotten.

    Parameters
    ----------
    spec: what made the packets.
    sizes: of attention.
    banks, groups: heads that are read at once, and groups of them.
    queries: positions a word.
    kept: from one pass to the next, by slot.
    ports: of a subclass.

    Attributes
    ----------
    i: stream of beats of `spec`, in.
    ends: stream of one bit a position, in: it is the last of its pass.
    spans: stream of `span_shape`, one a pass, in; only where `kept`.
    stored: a pass is complete, out; positions: that its queries may see, out; first, stop: those that it has computed,
        out, only where `kept`; forget: it is done with, in.
    address, enable: words to read, in; vectors, scales: of the words last read, out, that of position n of the word
        and of bank b at n * banks + b.
    """

    def __init__(
        self,
        spec: Quantize,
        sizes: AttentionSizes,
        banks: int,
        groups: int,
        queries: int = 1,
        kept: bool = False,
        ports: dict | None = None,
    ) -> None:
        self.spec, self.sizes, self.banks, self.groups, self.queries = spec, sizes, banks, groups, queries
        self.kept = kept
        self.vector = data.ArrayLayout(signed(spec.width), sizes.spec.head_dim)
        self.depth = groups * -(-sizes.max_positions // queries)
        count = queries * banks
        spans: dict[str, Any] = {}
        if kept:
            spans = span_streams(sizes.slots, sizes.max_positions, "spans")
            spans |= {"first": Out(index_width(sizes.max_positions)), "stop": Out(range(sizes.max_positions + 1))}
        super().__init__(
            {
                "i": In(stream.Signature(activations(spec, sizes.lanes))),
                "ends": In(stream.Signature(unsigned(1))),
                **spans,
                "stored": Out(1),
                "positions": Out(range(sizes.max_positions + 1)),
                "forget": In(1),
                "address": In(index_width(self.depth)),
                "enable": In(1),
                "vectors": Out(data.ArrayLayout(self.vector, count)),
                "scales": Out(data.ArrayLayout(spec.scale_width, count)),
                **(ports or {}),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        x = self.i.payload
        take, closing = Signal(), Signal()
        index = Signal(range(sizes.beats))
        bank, group, query = Signal(range(self.banks)), Signal(range(self.groups)), Signal(range(self.queries))
        position = Signal(range(sizes.max_positions))
        address = Signal.like(self.address)
        held = Signal(range(sizes.passes + 1))
        last_bank, last_query = bank == self.banks - 1, query == self.queries - 1
        final = x.last & last_bank & (group == self.groups - 1)
        ending = closing & final & self.ends.payload
        m.d.comb += [
            self.i.ready.eq((held != sizes.passes) & (self.ends.valid | ~final) & self._known(m, position == 0)),
            take.eq(self.i.valid & self.i.ready),
            closing.eq(take & x.last),
            self.ends.ready.eq(take & final),
            self.stored.eq(held != 0),
        ]
        m.d.sync += held.eq(held + ending - self.forget)
        with m.If(take):
            m.d.sync += index.eq(Mux(x.last, 0, index + 1))
        with m.If(closing):
            m.d.sync += bank.eq(Mux(last_bank, 0, bank + 1))
            with m.If(last_bank):
                m.d.sync += [group.eq(Mux(final, 0, group + 1)), address.eq(Mux(ending, 0, address + 1))]
            with m.If(final):
                m.d.sync += [position.eq(Mux(ending, 0, position + 1)), query.eq(Mux(last_query, 0, query + 1))]
                with m.If(~last_query):
                    m.d.sync += address.eq(address - (self.groups - 1))
            with m.If(ending):
                m.d.sync += [query.eq(0), address.eq(0)]
        put, get = self._passes(m, ending)
        if self.kept:
            starts = self._kept(m, ending, put, get)
        else:
            self._lengths(m, ending, position, put, get)
            starts = Mux(put, self.depth, 0), Mux(get, self.depth, 0)
        places = address + starts[0], self.address + starts[1]
        for number in range(self.banks):
            chosen = bank == number
            self._store(m, number, take & chosen, query * sizes.beats + index, query, places)
            self.watch(m, number, closing & chosen, position == 0, group, put, get, places[0], starts[1])
        return m

    def _known(self, m: Module, fresh) -> Value:
        """Whether all is known of the packet that comes, `fresh` where it is of its pass's first position."""
        return self.spans.valid if self.kept else Const(1)

    def _kept(self, m: Module, ending, put, get) -> tuple[Value, Value]:
        """Where the words of the pass that comes, and those of the slot that is read, begin; the latter's span."""
        held: list[Any] = [
            Signal(self.spans.payload.shape(), name=f"span_{number}") for number in range(self.sizes.passes)
        ]
        for number, span in enumerate(held):
            with m.If(ending & (put == number)):
                m.d.sync += span.eq(self.spans.payload)
        m.d.comb += self.spans.ready.eq(ending)
        coming, read = self.spans.payload, Mux(get, held[-1].as_value(), held[0].as_value())
        reading: Any = Signal(self.spans.payload.shape(), name="span_read")
        m.d.comb += [
            reading.as_value().eq(read),
            self.first.eq(reading.first),
            self.stop.eq(reading.stop),
            self.positions.eq(reading.seen),
        ]
        return coming.slot * self.depth + coming.first * self.groups, reading.slot * self.depth

    @property
    def words(self) -> int:
        """Of a bank, in all."""
        return (self.sizes.slots if self.kept else self.sizes.passes) * self.depth

    def _passes(self, m: Module, ending) -> tuple[Value, Value]:
        """Which of the passes comes and which is read, 0 or 1."""
        put: Value = Const(0)
        get: Value = Const(0)
        if self.sizes.passes > 1:
            put, get = Signal(name="put_pass"), Signal(name="get_pass")
            m.d.sync += [put.eq(put ^ ending), get.eq(get ^ self.forget)]
        return put, get

    def _lengths(self, m: Module, ending, position: Signal, put, get) -> None:
        """The length of each pass."""
        lengths = [Signal.like(self.positions, name=f"length_{number}") for number in range(self.sizes.passes)]
        for number, length in enumerate(lengths):
            with m.If(ending & (put == number)):
                m.d.sync += length.eq(position + 1)
        m.d.comb += self.positions.eq(Mux(get, lengths[-1], lengths[0]))

    def _store(self, m: Module, number: int, take, part, query, places) -> None:
        """One bank: each beat is written into its part of a word, whole words are read, at the two `places`."""
        depth = self.words
        beats, scale = self.sizes.beats, self.i.payload.scale
        vectors = data.ArrayLayout(self.vector, self.queries)
        words = Ram(vectors, depth, self.queries * beats, name=f"words_{number}")
        scales = Ram(data.ArrayLayout(scale.shape(), self.queries), depth, self.queries, name=f"scales_{number}")
        m.submodules[f"words_{number}"], m.submodules[f"scales_{number}"] = words, scales
        m.d.comb += [
            words.write_data.eq(self.i.payload.data.as_value().replicate(self.queries * beats)),
            words.write_mask.eq(1 << part),
            scales.write_data.eq(scale.replicate(self.queries)),
            scales.write_mask.eq(1 << query),
        ]
        for n in range(self.queries):
            place = n * self.banks + number
            m.d.comb += [
                self.vectors[place].eq(words.read_data[n]),
                self.scales[place].eq(scales.read_data[n]),
            ]
        for storage in (words, scales):
            m.d.comb += [
                storage.write_enable.eq(take),
                storage.write_address.eq(places[0]),
                storage.read_enable.eq(self.enable),
                storage.read_address.eq(places[1]),
            ]

    def watch(self, m: Module, number: int, closing, first, group, put, get, place, start) -> None:
        """Called for each bank with its packets' end, whether their position is the first, their group of heads, which
        pass comes and which is read, the place of the word that comes, and where those of the read one begin: nothing
        to do here."""


class ValueMemory(HeadMemory):
    """A `HeadMemory` of values that knows the largest scale of each head, in a ring of registers a bank: heads come one
    after the other. Where attention goes by blocks, it is that of the positions up to a place, kept in a memory. Where
    all positions see each other and values are kept, it is that of all passes from the slot's last one on that had all
    of them, as `golden.samplers.kept.Shared.largest` has it, and waits in a memory until the slot's next pass.

    Attributes
    ----------
    tops: while `stored`, the largest scale of the packets of a head of each bank, first those of group 0, out; turn: to
        the next group, in. By blocks: that of the word last read at `furthest` and of those before it.
    furthest: by blocks, a word to read, in.
    """

    def __init__(self, spec: Quantize, sizes: AttentionSizes) -> None:
        tops = data.ArrayLayout(spec.scale_width, sizes.key_lanes)
        words = index_width(sizes.key_groups * sizes.max_positions)
        self.by_block = sizes.spec.block_length is not None
        ports = {"tops": Out(tops), **({"furthest": In(words)} if self.by_block else {"turn": In(1)})}
        super().__init__(spec, sizes, sizes.key_lanes, sizes.key_groups, kept=sizes.slots > 0, ports=ports)
        self.asking, self.asked = Signal(), Signal()

    def _known(self, m: Module, fresh) -> Value:
        """The largest scale before the pass is read ahead of its first packets, which wait a cycle for it."""
        known = super()._known(m, fresh)
        if not self.kept:
            return known
        m.d.comb += self.asking.eq(known & self.i.valid & fresh & ~self.asked)
        with m.If(self.asking):
            m.d.sync += self.asked.eq(1)
        return known & (~fresh | self.asked)

    def watch(self, m: Module, number: int, closing, first, group, put, get, place, start) -> None:
        if self.by_block:
            self._watch_blocks(m, number, closing, first, place, start)
            return
        width, scale, count = self.spec.scale_width, self.i.payload.scale, self.sizes.passes
        rings = [Signal(self.groups * width, name=f"ring_{number}_{held}") for held in range(count)]
        coming = Mux(put, rings[-1][:width], rings[0][:width])
        top = Mux(first | (scale > coming), scale, coming)
        if self.kept:
            span = self.spans.payload
            of_slot = span.slot * self.groups + group
            anew = (span.first == 0) & (span.stop == span.seen)
            top = self._top(m, number, closing, first, ~anew, (of_slot, of_slot), self.sizes.slots, coming)
        for held, ring in enumerate(rings):
            new = closing & (put == held)
            with m.If(new | (self.turn & (get == held))):
                m.d.sync += ring.eq(Cat(ring[width:], Mux(new, top, ring[:width])))
        m.d.comb += self.tops[number].eq(Mux(get, rings[-1][:width], rings[0][:width]))

    def _watch_blocks(self, m: Module, number: int, closing, first, place, start) -> None:
        """The largest so far goes into a memory, with each packet."""
        width, scale = self.spec.scale_width, self.i.payload.scale
        ring = Signal(self.groups * width, name=f"ring_{number}")
        top = Mux(first | (scale > ring[:width]), scale, ring[:width])
        if self.kept:
            places, behind = (place, place - self.groups), self.spans.payload.first != 0
            top = self._top(m, number, closing, first, behind, places, self.words // self.groups, ring[:width])
        with m.If(closing):
            m.d.sync += ring.eq(Cat(ring[width:], top))
        m.submodules[f"tops_{number}"] = tops = Ram(width, self.words, name=f"tops_{number}")
        m.d.comb += [
            tops.write_enable.eq(closing),
            tops.write_address.eq(place),
            tops.write_data.eq(top),
            tops.read_enable.eq(self.enable),
            tops.read_address.eq(self.furthest + start),
            self.tops[number].eq(tops.read_data),
        ]

    def _top(self, m: Module, number: int, closing, first, continued, places, depth: int, ring) -> Value:
        """The largest so far, with that before the pass where it is `continued`: it comes from a memory of so many
        words a group of heads, in which each packet's is written and that one read at the two `places`."""
        width, scale = self.spec.scale_width, self.i.payload.scale
        m.submodules[f"earlier_{number}"] = earlier = Ram(width, depth * self.groups, name=f"earlier_{number}")
        top, before = Signal(width, name=f"top_{number}"), Signal(width, name=f"before_{number}")
        m.d.comb += [
            before.eq(Mux(~first, ring, Mux(continued, earlier.read_data, 0))),
            top.eq(Mux(scale > before, scale, before)),
            earlier.write_enable.eq(closing),
            earlier.write_address.eq(places[0]),
            earlier.write_data.eq(top),
            earlier.read_enable.eq(self.asking),
            earlier.read_address.eq(places[1]),
        ]
        if number == self.banks - 1:
            with m.If(closing):
                m.d.sync += self.asked.eq(0)
        return top
