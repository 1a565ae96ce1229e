"""The order in which attention's results leave: positions one after the other, all heads of each."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import beat
from hardloom.gen.units.attention_sizes import AttentionSizes

__all__ = ["PositionOrder"]


class PositionOrder(Component):
    """Beats of interleaved positions, brought into order in a memory.

    Heads come in groups, for each the positions at work at once; they leave by positions. The memory has two halves
    for 2 * query_lanes positions in all: one is written while the other is read, and a position is read as soon as it
    is complete. Latency 2 cycles from a position's last beat to its first, throughput 1 beat a cycle.

    Attributes
    ----------
    i: stream of beats, `last` with each group's, in.
    o: stream of beats, packets are positions, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        word = stream.Signature(beat(sizes.spec.word.width, sizes.lanes))
        super().__init__({"i": In(word), "o": Out(word)})

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        packet = sizes.heads * sizes.beats
        m.submodules.storage = storage = Ram(self.i.payload.data.shape(), 2 * sizes.query_lanes * packet)
        taken = Signal(2)
        most = Signal(data.ArrayLayout(range(sizes.query_lanes), 2))
        complete = Signal(range(2 * sizes.query_lanes + 1))
        came, freed = self._write(m, storage, taken, most)
        went, emptied = self._read(m, storage, complete != 0, most)
        m.d.sync += [complete.eq(complete + came - went), taken.eq((taken | freed) & ~emptied)]
        return m

    def _start(self, half) -> Value:
        """Where a half of the memory begins."""
        return Mux(half, self.sizes.query_lanes * self.sizes.heads * self.sizes.beats, 0)

    def _write(self, m: Module, storage: Ram, taken, most) -> tuple[Signal, Signal]:
        """Beats of one head group after the other into a half, `most` being its last position: whether a position is
        complete, and the half that is, one bit each."""
        sizes = self.sizes
        block = sizes.head_lanes * sizes.beats
        half, put = Signal(name="write_half"), Signal()
        group, query = Signal(range(sizes.groups)), Signal(range(sizes.query_lanes), name="write_query")
        index = Signal(range(block), name="write_index")
        address, start = Signal.like(storage.write_address, name="at"), Signal.like(storage.write_address, name="start")
        closing, final = put & (index == block - 1), group == sizes.groups - 1
        came, full = Signal(name="came"), Signal(2, name="full")
        m.d.comb += [
            self.i.ready.eq(~taken.bit_select(half, 1)),
            put.eq(self.i.valid & self.i.ready),
            storage.write_enable.eq(put),
            storage.write_address.eq(address),
            storage.write_data.eq(self.i.payload.data),
            came.eq(closing & final),
            full.eq(Mux(came & self.i.payload.last, 1 << half, 0)),
        ]
        following = Mux(final, self._start(~half), start + block)
        with m.If(put):
            m.d.sync += [index.eq(index + 1), address.eq(address + 1)]
        with m.If(closing):
            m.d.sync += [
                index.eq(0),
                query.eq(query + 1),
                address.eq(address + (sizes.heads * sizes.beats - block + 1)),
            ]
        with m.If(put & self.i.payload.last):
            m.d.sync += [most[half].eq(query), query.eq(0), address.eq(following), start.eq(following)]
            m.d.sync += [group.eq(Mux(final, 0, group + 1)), half.eq(half ^ final)]
        return came, full

    def _read(self, m: Module, storage: Ram, complete, most) -> tuple[Signal, Signal]:
        """Complete positions, in order: whether one has been read, and the half that is, one bit each."""
        sizes = self.sizes
        packet = sizes.heads * sizes.beats
        half, fetch = Signal(name="read_half"), Signal()
        query, index = Signal(range(sizes.query_lanes), name="read_query"), Signal(range(packet), name="read_index")
        address = Signal.like(storage.read_address, name="from")
        last, final = index == packet - 1, query == most[half]
        went, empty = Signal(name="went"), Signal(2, name="empty")
        m.d.comb += [
            fetch.eq(complete & (~self.o.valid | self.o.ready)),
            storage.read_enable.eq(fetch),
            storage.read_address.eq(address),
            self.o.payload.data.eq(storage.read_data),
            went.eq(fetch & last),
            empty.eq(Mux(went & final, 1 << half, 0)),
        ]
        m.d.sync += self.o.valid.eq(fetch | (self.o.valid & ~self.o.ready))
        with m.If(fetch):
            m.d.sync += [index.eq(index + 1), address.eq(address + 1), self.o.payload.last.eq(last)]
        with m.If(went):
            m.d.sync += [index.eq(0), query.eq(Mux(final, 0, query + 1))]
            with m.If(final):
                m.d.sync += [half.eq(~half), address.eq(self._start(~half))]
        return went, empty
