"""A queue between two streams, on a memory with a registered read."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram

__all__ = ["FULL_RATE", "Queue"]

FULL_RATE = 4
"""Depth from which a queue takes and gives an item in every cycle."""


class Queue(Component):
    """First in, first out. Latency 2 cycles, or 1 with a `depth` of 1.

    All items but the next to leave are in a memory, and that one is what the memory last read: it has no reset, and
    until the first item has come it is undefined. `valid` and `ready` come from registers that do have one.

    Parameters
    ----------
    shape: of an item.
    depth: items that it holds, at least 1. A queue of 1 takes an item in every other cycle.

    Attributes
    ----------
    i, o: streams of `shape`, in and out.
    """

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        put = Signal()
        get = Signal()
        m.d.comb += [put.eq(self.i.valid & self.i.ready), get.eq(self.o.valid & self.o.ready)]
        if self.depth == 1:
            m.d.comb += self.i.ready.eq(~self.o.valid)
            m.d.sync += self.o.valid.eq(Mux(self.o.valid, ~get, put))
            with m.If(put):
                m.d.sync += self.o.payload.eq(self.i.payload)
        else:
            self._store(m, put, get)
        return m

    def _store(self, m: Module, put: Signal, get: Signal) -> None:
        """`count` items are in the memory, and one more is read where `o.valid`."""
        depth = self.depth - 1
        m.submodules.storage = storage = Ram(self.i.payload.shape(), depth)
        count = Signal(range(depth + 1))
        fetch = Signal()
        m.d.comb += [
            self.i.ready.eq(count != depth),
            fetch.eq((count != 0) & (~self.o.valid | get)),
            storage.write_data.eq(self.i.payload),
            storage.write_enable.eq(put),
            storage.read_enable.eq(fetch),
            self.o.payload.eq(storage.read_data),
        ]
        m.d.sync += [count.eq(count + put - fetch), self.o.valid.eq(fetch | (self.o.valid & ~get))]
        for address, step in ((storage.write_address, put), (storage.read_address, fetch)):
            with m.If(step):
                m.d.sync += address.eq(Mux(address == depth - 1, 0, address + 1))
