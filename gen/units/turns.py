"""Packets that go to several units of one kind in turns, and their results in the same order."""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component

__all__ = ["Deal", "Gather"]


def _next(m: Module, turn: Signal, count: int, step) -> None:
    """The turn of the next one, behind the last that of the first."""
    with m.If(step):
        m.d.sync += turn.eq(Mux(turn == count - 1, 0, turn + 1))


class Deal(Component):
    """Gives packets of beats of layout `shape` to `o[0]`, `o[1]`, ... in turns. Latency 0, one beat a cycle."""

    def __init__(self, shape: data.StructLayout, count: int) -> None:
        self.count = count
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(count)})

    def elaborate(self, platform) -> Module:
        m = Module()
        turn = Signal(range(self.count))
        for k, o in enumerate(self.o):
            m.d.comb += [o.valid.eq(self.i.valid & (turn == k)), o.payload.eq(self.i.payload)]
            with m.If(turn == k):
                m.d.comb += self.i.ready.eq(o.ready)
        _next(m, turn, self.count, self.i.valid & self.i.ready & self.i.payload.last)
        return m


class Gather(Component):
    """Takes items of `shape` from `i[0]`, `i[1]`, ... in turns. Latency 0, one item a cycle."""

    def __init__(self, shape: ShapeLike, count: int) -> None:
        self.count = count
        super().__init__({"i": In(stream.Signature(shape)).array(count), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        turn = Signal(range(self.count))
        for k, i in enumerate(self.i):
            m.d.comb += i.ready.eq(self.o.ready & (turn == k))
            with m.If(turn == k):
                m.d.comb += [self.o.valid.eq(i.valid), self.o.payload.eq(i.payload)]
        _next(m, turn, self.count, self.o.valid & self.o.ready)
        return m
