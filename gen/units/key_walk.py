"""The order in which attention takes keys: all of a pass for every group of queries and of heads."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.attention_sizes import AttentionSizes

__all__ = ["KeyWalk", "step"]


def step(sizes: AttentionSizes) -> data.StructLayout:
    """One key: its word in the memories of keys and of values (`key`), whether the `last` of the group, and `most`: the
    group's last query, counted from 0. `furthest` is the word of the group's last key; `turn`: the next group of heads
    has other keys."""
    words = unsigned(index_width(sizes.key_groups * sizes.max_positions))
    flags = {"last": unsigned(1), "turn": unsigned(1)}
    return data.StructLayout({"key": words, "furthest": words, **flags, "most": range(sizes.query_lanes)})


class KeyWalk(Component):
    """All keys of a pass, for every group of `query_lanes` positions, and for every group of heads within; where
    attention goes by blocks, the keys up to the end of the positions' block. Where keys are kept
    (`AttentionSizes.slots`), a pass has positions from `first` to before `stop`.

    The last group of positions has as many as are left. Latency 0, one key a cycle, none missing between groups.

    Parameters
    ----------
    sizes: of attention.

    Attributes
    ----------
    go: a pass is stored, in; done: its last key is taken in this cycle, out.
    positions: whose keys may be seen, in; first, stop: those that the pass has, in, only where keys are kept; else it
        has all of them.
    o: stream of `step(sizes)`, out.
    """

    def __init__(self, sizes: AttentionSizes) -> None:
        self.sizes = sizes
        super().__init__(
            {
                "go": In(1),
                "done": Out(1),
                "positions": In(range(sizes.max_positions + 1)),
                **(
                    {"first": In(index_width(sizes.max_positions)), "stop": In(range(sizes.max_positions + 1))}
                    if sizes.slots
                    else {}
                ),
                "o": Out(stream.Signature(step(sizes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, sizes = Module(), self.sizes
        at = self.o.payload
        place, position = Signal.like(self.positions), Signal.like(self.positions)
        behind = Signal(range(sizes.max_positions + sizes.query_lanes + 1))
        first, stop = (self.first, self.stop) if sizes.slots else (0, self.positions)
        seen = Signal.like(self.positions)
        key, key_group = Signal.like(at.key), Signal(range(sizes.key_groups))
        group, again = Signal(range(sizes.groups)), Signal(range(sizes.repeats))
        last, turn, ending = Signal(), Signal(), Signal()
        lacking = Mux(behind > stop, behind - stop, 0)
        m.d.comb += [
            behind.eq(first + position + sizes.query_lanes),
            last.eq(place == seen - 1),
            turn.eq(last & (group == sizes.groups - 1)),
            ending.eq(turn & (behind >= stop)),
            self.o.valid.eq(self.go),
            at.key.eq(key),
            at.last.eq(last),
            at.turn.eq(again == sizes.repeats - 1),
            at.most.eq(sizes.query_lanes - 1 - lacking),
            self.done.eq(self.o.valid & self.o.ready & ending),
        ]
        step_on = self.o.valid & self.o.ready
        following = Signal.like(key)
        m.d.comb += following.eq(key_group + at.turn)
        with m.If(step_on):
            m.d.sync += [place.eq(place + 1), key.eq(key + sizes.key_groups)]
            with m.If(last):
                m.d.sync += [place.eq(0), group.eq(group + 1), key.eq(following), key_group.eq(following)]
                m.d.sync += again.eq(Mux(at.turn, 0, again + 1))
            with m.If(turn):
                m.d.sync += [key.eq(0), key_group.eq(0), group.eq(0), position.eq(position + sizes.query_lanes)]
            with m.If(ending):
                m.d.sync += position.eq(0)
        self._see(m, seen, behind, first, key_group, step_on & turn, ending)
        return m

    def _see(self, m: Module, seen, behind, first, key_group, turning, ending) -> None:
        """`seen`: keys of the positions at work; in blocks, up to the end of theirs, which moves on with them."""
        block = self.sizes.spec.block_length
        if block is None:
            m.d.comb += seen.eq(self.positions)
            return
        passed = Signal(range(self.sizes.max_positions + 2 * block), init=block)
        border = first + passed
        m.d.comb += [
            seen.eq(Mux(border > self.positions, self.positions, border)),
            self.o.payload.furthest.eq((seen - 1) * self.sizes.key_groups + key_group),
        ]
        with m.If(turning & (behind >= border)):
            m.d.sync += passed.eq(passed + block)
        with m.If(turning & ending):
            m.d.sync += passed.eq(block)
