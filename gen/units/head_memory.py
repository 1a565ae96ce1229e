"""Memories of a forward pass's queries, keys and values, banked by head; a second pass is loaded meanwhile."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.ram import Ram
from gen.stream.stream import activations
from gen.text.constant_module import index_width
from gen.units.attention_sizes import AttentionSizes
from golden.units.quantize import Quantize

__all__ = ["HeadMemory", "ValueMemory"]


class HeadMemory(Component):
    """Stores passes: positions times `heads` packets each, in a bank for each of `head_lanes` heads.

    The banks have one address. Word (position // queries) * groups + head // head_lanes of bank head % head_lanes
    holds the vectors of `queries` positions.

    While `stored`, words of the oldest pass that is complete may be read, which takes one cycle, until `forget`; what
    was read stays until the next reading, and vectors behind the last position are undefined. Packets of the next pass
    are taken meanwhile where `passes` is 2, and are not where it is 1.

    Parameters
    ----------
    spec: what made the packets.
    sizes: of attention.
    queries: positions a word.
    ports: of a subclass.

    Attributes
    ----------
    i: stream of beats of `spec`, in.
    ends: stream of one bit a position, in: it is the last of its pass.
    stored: a pass is complete, out; positions: it has so many, out; forget: it is done with, in.
    address, enable: words to read, in; vectors, scales: of the words last read, out, that of position n of the word
        and of bank b at n * head_lanes + b.
    """

    def __init__(self, spec: Quantize, sizes: AttentionSizes, queries: int = 1, ports: dict | None = None) -> None:
        self.spec, self.sizes, self.queries = spec, sizes, queries
        self.vector = data.ArrayLayout(signed(spec.width), sizes.spec.head_dim)
        self.depth = sizes.groups * -(-sizes.max_positions // queries)
        count = queries * sizes.head_lanes
        super().__init__(
            {
                "i": In(stream.Signature(activations(spec, sizes.lanes))),
                "ends": In(stream.Signature(unsigned(1))),
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
        bank, group, query = Signal(range(sizes.head_lanes)), Signal(range(sizes.groups)), Signal(range(self.queries))
        position = Signal(range(sizes.max_positions))
        address = Signal.like(self.address)
        held = Signal(range(sizes.passes + 1))
        last_bank, last_query = bank == sizes.head_lanes - 1, query == self.queries - 1
        final = x.last & last_bank & (group == sizes.groups - 1)
        ending = closing & final & self.ends.payload
        m.d.comb += [
            self.i.ready.eq((held != sizes.passes) & (self.ends.valid | ~final)),
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
                    m.d.sync += address.eq(address - (sizes.groups - 1))
            with m.If(ending):
                m.d.sync += [query.eq(0), address.eq(0)]
        put, get = self._passes(m, ending, position)
        places = address + Mux(put, self.depth, 0), self.address + Mux(get, self.depth, 0)
        for number in range(sizes.head_lanes):
            chosen = bank == number
            self._store(m, number, take & chosen, query * sizes.beats + index, query, places)
            self.watch(m, number, closing & chosen, position == 0, put, get)
        return m

    def _passes(self, m: Module, ending, position: Signal) -> tuple[Value, Value]:
        """Which of the passes comes and which is read, 0 or 1; the length of each is kept."""
        lengths = [Signal.like(self.positions, name=f"length_{number}") for number in range(self.sizes.passes)]
        put: Value = Const(0)
        get: Value = Const(0)
        if self.sizes.passes > 1:
            put, get = Signal(name="put_pass"), Signal(name="get_pass")
            m.d.sync += [put.eq(put ^ ending), get.eq(get ^ self.forget)]
        for number, length in enumerate(lengths):
            with m.If(ending & (put == number)):
                m.d.sync += length.eq(position + 1)
        m.d.comb += self.positions.eq(Mux(get, lengths[-1], lengths[0]))
        return put, get

    def _store(self, m: Module, number: int, take, part, query, places) -> None:
        """One bank: each beat is written into its part of a word, whole words are read, at the two `places`."""
        depth = self.sizes.passes * self.depth
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
            place = n * self.sizes.head_lanes + number
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

    def watch(self, m: Module, number: int, closing, first, put, get) -> None:
        """Called for each bank with its packets' end, whether their position is the first, and which pass comes and
        which is read: nothing to do here."""


class ValueMemory(HeadMemory):
    """A `HeadMemory` that knows the largest scale of each head, in a ring of registers a bank and pass: heads come one
    after the other.

    Attributes
    ----------
    tops: while `stored`, the largest scale of the packets of a head of each bank, first those of group 0, out; turn: to
        the next group, in.
    """

    def __init__(self, spec: Quantize, sizes: AttentionSizes) -> None:
        tops = data.ArrayLayout(spec.scale_width, sizes.head_lanes)
        super().__init__(spec, sizes, ports={"turn": In(1), "tops": Out(tops)})

    def watch(self, m: Module, number: int, closing, first, put, get) -> None:
        width, scale, count = self.spec.scale_width, self.i.payload.scale, self.sizes.passes
        rings = [Signal(self.sizes.groups * width, name=f"ring_{number}_{held}") for held in range(count)]
        for held, ring in enumerate(rings):
            top = ring[:width]
            new = closing & (put == held)
            with m.If(new | (self.turn & (get == held))):
                m.d.sync += ring.eq(Cat(ring[width:], Mux(new & (first | (scale > top)), scale, top)))
        m.d.comb += self.tops[number].eq(Mux(get, rings[-1][:width], rings[0][:width]))
