"""Which of a beat's logits are left out: those of suppressed tokens, and what is behind a packet's last one."""

from collections.abc import Sequence
from itertools import accumulate

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.head_tiles import last_beat
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import beat

__all__ = ["Suppress", "marked_beat", "ranks"]


def marked_beat(width: int, lanes: int) -> data.StructLayout:
    """Logits as in `beat`; `out`: a bit a lane, whether its element counts for nothing."""
    return data.StructLayout({**beat(width, lanes).members, "out": unsigned(lanes)})


def ranks(x) -> list[Value]:
    """The elements of a `marked_beat`, a bit wider, those that are left out below all others."""
    below = -(1 << len(x.data[0]))
    return [Mux(out, below, element) for element, out in zip(x.data, x.out, strict=True)]


class Suppress(Component):
    """Marks the elements of tokens that the packet's manner suppresses. Latency 0, throughput 1 beat a cycle.

    Parameters
    ----------
    width, lanes: of a tile's beat. rows: elements of each tile's packet (`gen.design.head_tiles`).
    manner: `gen.units.manner.packet_manner`.

    Attributes
    ----------
    i: stream of fixed-point beats of all tiles, in. manner: stream of `manner`, one a packet, in.
    o: stream of `marked_beat`, out.
    """

    def __init__(self, width: int, lanes: int, rows: Sequence[int], manner: data.StructLayout) -> None:
        self.lanes, self.rows = lanes, rows
        super().__init__(
            {
                "i": In(stream.Signature(beat(width, len(rows) * lanes))),
                "manner": In(stream.Signature(manner)),
                "o": Out(stream.Signature(marked_beat(width, len(rows) * lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, x = Module(), self.i.payload
        taken = Signal()
        m.d.comb += [
            self.o.valid.eq(self.i.valid & self.manner.valid),
            taken.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(taken),
            self.manner.ready.eq(taken & x.last),
            self.o.payload.data.eq(x.data),
            self.o.payload.last.eq(x.last),
        ]
        firsts = accumulate(self.rows[:-1], initial=0)
        for tile, (first, count) in enumerate(zip(firsts, last_beat(self.rows, self.lanes), strict=True)):
            name = f"base_{tile}" if tile else "base"  # a register a tile: one for all would drive too much
            base = Signal(range(first + self.rows[0] + self.lanes), init=first, name=name)
            with m.If(taken):
                m.d.sync += base.eq(Mux(x.last, first, base + self.lanes))
            out = self.o.payload.out[tile * self.lanes : (tile + 1) * self.lanes]
            padding = Mux(x.last, (1 << self.lanes) - (1 << count), 0)
            m.d.comb += out.eq(self._suppressed(m, base + 0) | padding)  # + 0: a bit wider, as texts have had it
        return m

    def _suppressed(self, m: Module, base: Value) -> Value:
        """Lanes of a tile, of which the first has the token `base`, that are suppressed."""
        found: Value = Const(0, self.lanes)
        for number, one in enumerate(self.manner.payload.suppressed):
            lane = Signal(signed(max(len(one.token), len(base)) + 1), name=f"lane_{number}")
            m.d.comb += lane.eq(one.token - base)
            here = Signal(self.lanes, name=f"here_{number}")
            m.d.comb += [bit.eq(one.given & (lane == k)) for k, bit in enumerate(here)]
            found = found | here
        return found
