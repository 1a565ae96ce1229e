"""The order in which attention takes keys: all of a pass for every group of queries and of heads."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.text.constant_module import index_width
from gen.units.attention_sizes import AttentionSizes

__all__ = ["KeyWalk", "step"]


def step(sizes: AttentionSizes) -> data.StructLayout:
    """One key: its word in the memories of keys and of values (`key`), whether the `last` of the group, and `most`: the
    group's last query, counted from 0."""
    words = unsigned(index_width(sizes.groups * sizes.max_positions))
    return data.StructLayout({"key": words, "last": unsigned(1), "most": range(sizes.query_lanes)})


class KeyWalk(Component):
    """All keys of a pass, for every group of `query_lanes` positions, and for every group of heads within.

    The last group of positions has as many as are left. Latency 0, one key a cycle, none missing between groups.

    Parameters
    ----------
    sizes: of attention.

    Attributes
    ----------
    go: a pass is stored, in; done: its last key is taken in this cycle, out.
    positions: positions of the pass, in.
    o: stream of `step(sizes)`, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "go": In(1),
                "done": Out(1),
                "positions": In(range(sizes.max_positions + 1)),
                "o": Out(stream.Signature(step(sizes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        at = self.o.payload
        place, position = Signal.like(self.positions), Signal.like(self.positions)
        behind = Signal(range(sizes.max_positions + sizes.query_lanes + 1))
        key = Signal.like(at.key)
        group = Signal(range(sizes.groups))
        last, turn, ending = Signal(), Signal(), Signal()
        lacking = Mux(behind > self.positions, behind - self.positions, 0)
        m.d.comb += [
            behind.eq(position + sizes.query_lanes),
            last.eq(place == self.positions - 1),
            turn.eq(last & (group == sizes.groups - 1)),
            ending.eq(turn & (behind >= self.positions)),
            self.o.valid.eq(self.go),
            at.key.eq(key),
            at.last.eq(last),
            at.most.eq(sizes.query_lanes - 1 - lacking),
            self.done.eq(self.o.valid & self.o.ready & ending),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [place.eq(place + 1), key.eq(key + sizes.groups)]
            with m.If(last):
                m.d.sync += [place.eq(0), key.eq(group + 1), group.eq(group + 1)]
            with m.If(turn):
                m.d.sync += [key.eq(0), group.eq(0), position.eq(behind)]
            with m.If(ending):
                m.d.sync += position.eq(0)
        return m
