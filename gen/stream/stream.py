"""Streams of vectors: a packet is one vector, a beat is `lanes` of its elements."""

import itertools

from amaranth.hdl import Module, Mux, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import FULL_RATE, Queue
from hardloom.golden.units.quantize import Quantize

__all__ = [
    "Keep",
    "PacketDelay",
    "Skid",
    "Stage",
    "activations",
    "beat",
    "chain",
    "connect_vectors",
    "count_beats",
    "residual_beat",
]


def beat(width: int, lanes: int, scale_width: int = 0) -> data.StructLayout:
    """Payload of a vector stream.

    `data`: `lanes` signed elements of `width` bits, element order within the packet; `scale`: the packet's scale, the
    same on each of its beats, of `scale_width` bits (0: none, for fixed-point vectors); `last`: high on the packet's
    last beat.
    """
    return data.StructLayout(
        {"data": data.ArrayLayout(signed(width), lanes), "scale": unsigned(scale_width), "last": unsigned(1)}
    )


def residual_beat(width: int, lanes: int) -> data.StructLayout:
    """Beat of the residual stream: as `beat`, and `end`, high on the last beat of a pass's last packet."""
    return data.StructLayout({**beat(width, lanes).members, "end": unsigned(1)})


def activations(spec: Quantize, lanes: int) -> data.StructLayout:
    """Beat of what a quantizer gives."""
    return beat(spec.width, lanes, spec.scale_width)


class Stage(Component):
    """One registered pipeline stage: a combinational function between two streams.

    A subclass gives `transform`. Latency 1 cycle, throughput 1 beat a cycle.

    Parameters
    ----------
    i_shape, o_shape: payloads.
    ports: of a subclass, besides the streams.

    Attributes
    ----------
    i: stream of `i_shape`, in.
    o: stream of `o_shape`, out.
    """

    def __init__(self, i_shape: ShapeLike, o_shape: ShapeLike, ports: dict | None = None) -> None:
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape)), **(ports or {})})

    def transform(self, m: Module, x, y) -> None:
        """Drive every field of `y` (comb) from `x`."""
        raise NotImplementedError

    def elaborate(self, platform) -> Module:
        m = Module()
        result = Signal(self.o.payload.shape())
        self.transform(m, self.i.payload, result)
        m.d.comb += self.i.ready.eq(self.o.ready | ~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += self.o.payload.eq(result)
        return m


class Keep(Stage):
    """One register: what travels along while a memory is read; a queue of one item that takes one as it gives one."""

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__(shape, shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.eq(x)


class Skid(Component):
    """Where a path of `ready` ends: `i.ready` is a register, and an item that is refused behind it is held aside.

    Latency 0, throughput 1 item a cycle.

    Attributes
    ----------
    i, o: streams of `shape`, in and out.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        free = Signal(init=1)
        held = Signal(self.o.payload.shape())
        m.d.comb += [
            self.i.ready.eq(free),
            self.o.valid.eq(self.i.valid | ~free),
            self.o.payload.eq(Mux(free, self.i.payload, held)),
        ]
        m.d.sync += free.eq(self.o.ready | (free & ~self.i.valid))
        with m.If(free & self.i.valid & ~self.o.ready):
            m.d.sync += held.eq(self.i.payload)
        return m


class PacketDelay(Component):
    """Holds each packet back until a statistic of all of it is known, then gives every beat with that statistic.

    A subclass gives `fold`, and `stages` where something comes before it. Latency: a packet's beats plus 3 cycles and
    one a stage; throughput 1 beat a cycle as long as `depth` is at least two packets: more depth gains nothing. The
    queue of statistics never limits up to `FULL_RATE` packets, which is more than units ask for. Any packet length up
    to `depth`.

    Parameters
    ----------
    shape: payload, a struct with a field `last`.
    statistic: shape of the statistic.
    depth: beats of storage, besides one a stage; at least the longest packet.

    Attributes
    ----------
    i: stream of `shape`, in.
    o: stream of {`beat`: `shape`, `stat`: `statistic`}, out.
    """

    def __init__(self, shape: data.StructLayout, statistic: ShapeLike, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        self.depth = depth
        o_shape = data.StructLayout({"beat": shape, "stat": statistic})
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(o_shape))})

    def stages(self) -> list[Stage]:
        """From a beat to what `fold` takes of it, which has the beat's `last`."""
        return []

    def fold(self, m: Module, stat, first, x, y) -> None:
        """Drive `y`, the statistic after `x`, a beat or what the stages left of it, from `stat` before it; `first`
        marks a packet's first beat."""
        raise NotImplementedError

    def elaborate(self, platform) -> Module:
        m = Module()
        stages, shape, statistic = self.stages(), self.i.payload.shape(), self.o.payload.stat.shape()
        m.submodules.beats = beats = Queue(shape, max(2, self.depth) + len(stages))
        m.submodules.stats = stats = Queue(statistic, FULL_RATE)
        stat = Signal(statistic)
        result = Signal(statistic)
        first = Signal(init=1)
        take = self.i.valid & self.i.ready
        x, ready, taken = self._through(m, stages, take, stats.i.ready)
        self.fold(m, stat, first, x, result)
        m.d.comb += [
            self.i.ready.eq(beats.i.ready & ready),
            beats.i.payload.eq(self.i.payload),
            beats.i.valid.eq(take),
            stats.i.payload.eq(result),
            stats.i.valid.eq(taken & x.last),
        ]
        with m.If(taken):
            m.d.sync += [stat.eq(result), first.eq(x.last)]

        give = self.o.valid & self.o.ready
        m.d.comb += [
            self.o.valid.eq(beats.o.valid & stats.o.valid),
            self.o.payload.beat.eq(beats.o.payload),
            self.o.payload.stat.eq(stats.o.payload),
            beats.o.ready.eq(give),
            stats.o.ready.eq(give & self.o.payload.beat.last),
        ]
        return m

    def _through(self, m: Module, stages: list[Stage], take, free) -> tuple:
        """What is folded, whether a beat may `take` its way there, and whether it is folded now, where `free` says so
        of the statistic's place."""
        if not stages:
            return self.i.payload, free, take
        for number, stage in enumerate(stages):
            m.submodules[f"level_{number}"] = stage
        chain(m, *stages)
        start, end = stages[0].i, stages[-1].o
        m.d.comb += [start.payload.eq(self.i.payload), start.valid.eq(take), end.ready.eq(free)]
        return end.payload, start.ready, end.valid & free


def chain(m: Module, *parts) -> None:
    """Connect streams in order: each part is a component with `i` and `o`, or a bare stream at either end."""
    for source, sink in itertools.pairwise(parts):
        wiring.connect(m, getattr(source, "o", source), getattr(sink, "i", sink))


def count_beats(m: Module, source, index) -> None:
    """`index`, a register: number within its packet of the beat that `source` has, or that comes next."""
    with m.If(source.valid & source.ready):
        m.d.sync += index.eq(Mux(source.payload.last, 0, index + 1))


def connect_vectors(m: Module, source, sink) -> None:
    """Connect a residual stream to a unit that takes its vectors one by one and need not know where a pass ends."""
    m.d.comb += [
        sink.payload.data.eq(source.payload.data),
        sink.payload.last.eq(source.payload.last),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]
