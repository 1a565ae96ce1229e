"""Residual add."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import saturate
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import FULL_RATE, Queue
from hardloom.gen.stream.stream import Stage, beat, residual_beat
from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Residual"]


def waiting(word: FixedPoint, lanes: int) -> data.StructLayout:
    """A beat of the residual that waits for the branch, which knows where packets end."""
    members = residual_beat(word.width, lanes).members
    return data.StructLayout({name: members[name] for name in ("data", "end")})


class _Add(Stage):
    def __init__(self, word: FixedPoint, lanes: int) -> None:
        self.word, self.lanes = word, lanes
        o_shape = data.StructLayout({"beat": residual_beat(word.width, lanes), "saturated": range(lanes + 1)})
        super().__init__(data.StructLayout({"x": waiting(word, lanes), "branch": beat(word.width, lanes)}), o_shape)

    def transform(self, m: Module, x, y) -> None:
        beyond = Signal(self.lanes)
        m.d.comb += [y.beat.last.eq(x.branch.last), y.beat.end.eq(x.x.end), y.saturated.eq(sum(beyond))]
        for k in range(self.lanes):
            total = Signal(signed(self.word.width + 1), name=f"total_{k}")
            m.d.comb += [
                total.eq(x.x.data[k] + x.branch.data[k]),
                beyond[k].eq(total[-1] != total[-2]),
                y.beat.data[k].eq(saturate(total, self.word)),
            ]


class Residual(Component):
    """saturate(x + i) by element; `x` waits in a queue for the branch's output.

    Latency: 1 cycle after `i` (`x` must have come 2 cycles before), throughput 1 beat a cycle.

    Parameters
    ----------
    word: fixed-point word.
    lanes: elements a beat.
    depth: beats of `x` the queue holds, at least 1: what the branch holds between its input and its output.

    Attributes
    ----------
    x: stream of `gen.stream.stream.residual_beat`, in.
    i: stream of fixed-point beats, the branch's output, in.
    o: stream of beats as of `x`, out; a pass ends where that of `x` does.
    saturated: of the beat that is given in this cycle, elements whose sum was outside the word, out.
    """

    def __init__(self, word: FixedPoint, lanes: int, depth: int) -> None:
        self.word, self.lanes, self.depth = word, lanes, depth
        residual = stream.Signature(residual_beat(word.width, lanes))
        branch = stream.Signature(beat(word.width, lanes))
        super().__init__({"x": In(residual), "i": In(branch), "o": Out(residual), "saturated": Out(range(lanes + 1))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.queue = queue = Queue(waiting(self.word, self.lanes), max(FULL_RATE, self.depth))
        m.submodules.add = add = _Add(self.word, self.lanes)
        x = queue.o
        both = self.i.valid & x.valid
        m.d.comb += [
            queue.i.payload.data.eq(self.x.payload.data),
            queue.i.payload.end.eq(self.x.payload.end),
            queue.i.valid.eq(self.x.valid),
            self.x.ready.eq(queue.i.ready),
            add.i.payload.x.eq(x.payload),
            add.i.payload.branch.eq(self.i.payload),
            add.i.valid.eq(both),
            self.i.ready.eq(both & add.i.ready),
            x.ready.eq(both & add.i.ready),
            self.o.payload.eq(add.o.payload.beat),
            self.o.valid.eq(add.o.valid),
            add.o.ready.eq(self.o.ready),
            self.saturated.eq(Mux(self.o.valid & self.o.ready, add.o.payload.saturated, 0)),
        ]
        return m
