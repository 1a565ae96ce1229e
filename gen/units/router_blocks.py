"""Blocks of tokens that share experts: which experts a block's tokens may choose."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import PacketDelay, Stage, chain
from hardloom.gen.units.router_groups import admissible, mark_best
from hardloom.gen.units.router_scores import candidate, rank
from hardloom.golden.units.router import Router as RouterSpec

__all__ = ["Blocks"]


def of_block(spec: RouterSpec) -> data.StructLayout:
    """A candidate of a packet that is a block: `fresh`, of the block's first token; `token`: the last of its token."""
    return data.StructLayout(candidate(spec).members | {"fresh": unsigned(1), "token": unsigned(1)})


class _Mark(Component):
    """Tells each candidate where in its block it is: blocks are counted from the first token of a pass. Latency 0.

    Attributes
    ----------
    ends: stream of one bit a token, in: it is the last of its pass, and perhaps of a shorter block.
    i, o: streams of `candidate(spec)` and `of_block(spec)`.
    """

    def __init__(self, spec: RouterSpec) -> None:
        self.block_length = spec.block_length
        i, o, ends = (stream.Signature(shape) for shape in (candidate(spec), of_block(spec), unsigned(1)))
        super().__init__({"ends": In(ends), "i": In(i), "o": Out(o)})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, y = self.i.payload, self.o.payload
        position = Signal(range(self.block_length))
        final = self.ends.payload | (position == self.block_length - 1)
        m.d.comb += [getattr(y, name).eq(getattr(x, name)) for name in x.shape().members if name != "last"]
        m.d.comb += [y.fresh.eq(position == 0), y.token.eq(x.last), y.last.eq(x.last & final)]
        known = self.ends.valid | ~x.last
        m.d.comb += [
            self.o.valid.eq(self.i.valid & known),
            self.i.ready.eq(self.o.ready & known),
            self.ends.ready.eq(self.i.valid & self.i.ready & x.last),
        ]
        with m.If(self.ends.valid & self.ends.ready):
            m.d.sync += position.eq(Mux(final, 0, position + 1))
        return m


class _Admitted(PacketDelay):
    """Statistic of a block's candidates: the experts that it admits, a bit each.

    An expert's largest rank so far is in a memory, read one candidate ahead: a token's candidates come in order.
    """

    def __init__(self, spec: RouterSpec) -> None:
        self.spec = spec
        depth = 2 * spec.block_length * spec.num_experts + 2
        super().__init__(of_block(spec), unsigned(spec.num_experts), depth)

    def fold(self, m: Module, stat, first, x, y) -> None:
        take, value = self.i.valid & self.i.ready, rank(x)
        m.submodules.largest = memory = Ram(value.shape(), self.spec.num_experts, name="largest")
        largest = Signal.like(value, name="largest")
        m.d.comb += [
            largest.eq(Mux(x.fresh | (value > memory.read_data), value, memory.read_data)),
            memory.write_enable.eq(take),
            memory.write_address.eq(x.expert),
            memory.write_data.eq(largest),
            memory.read_enable.eq(take),
            memory.read_address.eq(Mux(x.token, 0, x.expert + 1)),
        ]
        mark_best(m, "block_place", self.spec.capacity, largest, x.expert, take, y)


class _Admit(Stage):
    """Tells each candidate whether its block admits its expert."""

    def transform(self, m: Module, x, y) -> None:
        names = [name for name in y.shape().members if name not in ("last", "admitted")]
        m.d.comb += [getattr(y, name).eq(getattr(x.beat, name)) for name in names]
        m.d.comb += [y.last.eq(x.beat.token), y.admitted.eq(x.stat.bit_select(x.beat.expert, 1))]


class Blocks(Component):
    """`golden.units.router.Router.admitted`: candidates in, candidates out, a block later.

    Latency: from a block's last candidate in to its last one out as many cycles as it has candidates, and 2; one
    candidate a cycle. Holds two blocks.

    Attributes
    ----------
    ends: stream of one bit a token, in: it is the last of its pass.
    i: stream of `gen.units.router_scores.candidate(spec)`, in.
    o: stream of `gen.units.router_groups.admissible(spec)`, out.
    """

    def __init__(self, spec: RouterSpec) -> None:
        if spec.num_experts < 2:
            raise ValueError("blocks choose among two experts at least")
        self.spec = spec
        i, o, ends = (stream.Signature(shape) for shape in (candidate(spec), admissible(spec), unsigned(1)))
        super().__init__({"ends": In(ends), "i": In(i), "o": Out(o)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.mark = mark = _Mark(self.spec)
        m.submodules.admitted = admitted = _Admitted(self.spec)
        m.submodules.admit = admit = _Admit(admitted.o.payload.shape(), self.o.payload.shape())
        wiring.connect(m, wiring.flipped(self.ends), mark.ends)
        chain(m, wiring.flipped(self.i), mark, admitted, admit, wiring.flipped(self.o))
        return m
