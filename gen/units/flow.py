"""Streams that part and meet: fork, bank split, expert dispatch and collection."""

from typing import Any

from amaranth.hdl import Array, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.queue import Queue
from gen.stream.ram import Ram
from gen.stream.stream import beat, chain
from gen.text.constant_module import index_width

__all__ = ["Broadcast", "Collect", "Dispatch", "Fork", "HeadSplit", "Route", "job"]


def job(choice: data.StructLayout) -> data.StructLayout:
    """One token at one expert of its `choice` (`gen.units.router.choice`): number `expert`, router `weight`."""
    experts, weights = (choice.members[name] for name in ("experts", "weights"))
    return data.StructLayout({"expert": experts.elem_shape, "weight": weights.elem_shape})


class Fork(Component):
    """Gives every item to all of `o[0..count-1]`, each at its own pace. Latency 0, one item a cycle."""

    def __init__(self, shape: ShapeLike, count: int) -> None:
        self.count = count
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(count)})

    def elaborate(self, platform) -> Module:
        m = Module()
        done = Signal(self.count)
        served = Signal(self.count)
        for k, o in enumerate(self.o):
            m.d.comb += [
                o.valid.eq(self.i.valid & ~done[k]),
                o.payload.eq(self.i.payload),
                served[k].eq(done[k] | o.ready),
            ]
        m.d.comb += self.i.ready.eq(served.all())
        with m.If(self.i.valid):
            m.d.sync += done.eq(Mux(self.i.ready, 0, served))
        return m


class HeadSplit(Component):
    """Parts beats of `banks` matrices, q, k and v, into streams whose packets are heads. Latency 0, one beat a cycle.

    Attributes
    ----------
    i: stream of beat(width, banks * lanes), lanes of the first matrix first, in.
    o: a stream of beat(width, lanes) a matrix, `last` on each head's last beat, out.
    """

    def __init__(self, width: int, lanes: int, head_beats: int, banks: int) -> None:
        self.lanes, self.head_beats, self.banks = lanes, head_beats, banks
        super().__init__(
            {
                "i": In(stream.Signature(beat(width, banks * lanes))),
                "o": Out(stream.Signature(beat(width, lanes))).array(banks),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.branch = fork = Fork(self.i.payload.shape(), self.banks)
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        for bank, (source, sink) in enumerate(zip(fork.o, self.o, strict=True)):
            count = Signal(range(self.head_beats), name=f"count_{bank}")
            last = count == self.head_beats - 1
            m.d.comb += [sink.valid.eq(source.valid), source.ready.eq(sink.ready), sink.payload.last.eq(last)]
            for k in range(self.lanes):
                m.d.comb += sink.payload.data[k].eq(source.payload.data[bank * self.lanes + k])
            with m.If(sink.valid & sink.ready):
                m.d.sync += count.eq(Mux(last, 0, count + 1))
        return m


class Broadcast(Component):
    """A queue of items of `shape` for each of `readers` places along a path of packets, all in the same order."""

    def __init__(self, shape: ShapeLike, readers: int, depth: int) -> None:
        self.readers, self.depth = readers, depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(readers)})

    def elaborate(self, platform) -> Module:
        m = Module()
        shape = self.i.payload.shape()
        m.submodules.branch = fork = Fork(shape, self.readers)
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        for k, (source, sink) in enumerate(zip(fork.o, self.o, strict=True)):
            m.submodules[f"queue_{k}"] = queue = Queue(shape, self.depth)
            chain(m, source, queue, wiring.flipped(sink))
        return m


class Dispatch(Component):
    """Sends each token's packet to its experts, one after the other, best first.

    The packet passes through to the first expert and is replayed from a buffer for the others: `top_k` packets
    out for one in, one cycle between them (the job is posted). Latency 1.

    Attributes
    ----------
    i: stream of beats of layout `shape`, in.
    choice: stream of {experts, weights} from the router, in.
    o: stream of {`expert`, `beat`}, out.
    jobs: stream of `job`, out; one as each packet starts.
    """

    def __init__(self, shape: data.StructLayout, choice: data.StructLayout, beats: int) -> None:
        self.top_k, self.beats = choice.members["experts"].length, beats
        task = job(choice)
        o_shape = data.StructLayout({"expert": task.members["expert"], "beat": shape})
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "choice": In(stream.Signature(choice)),
                "o": Out(stream.Signature(o_shape)),
                "jobs": Out(stream.Signature(task)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        turn = Signal(range(self.top_k))
        index = Signal(range(self.beats))
        posted = Signal()
        expert = Array(self.choice.payload.experts)[turn] if self.top_k > 1 else self.choice.payload.experts[0]
        weight = Array(self.choice.payload.weights)[turn] if self.top_k > 1 else self.choice.payload.weights[0]

        first, final = turn == 0, turn == self.top_k - 1
        source: Any = Signal(self.i.payload.shape())
        m.d.comb += [
            source.eq(self.i.payload),
            self.jobs.valid.eq(self.choice.valid & ~posted),
            self.jobs.payload.expert.eq(expert),
            self.jobs.payload.weight.eq(weight),
            self.o.valid.eq(self.choice.valid & posted & (self.i.valid | ~first)),
            self.o.payload.expert.eq(expert),
            self.o.payload.beat.eq(source),
        ]
        give = self.o.valid & self.o.ready
        m.d.comb += [
            self.i.ready.eq(self.choice.valid & posted & first & self.o.ready),
            self.choice.ready.eq(give & source.last & final),
        ]
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += posted.eq(1)
        with m.If(give):
            m.d.sync += index.eq(Mux(source.last, 0, index + 1))
            with m.If(source.last):
                m.d.sync += [turn.eq(Mux(final, 0, turn + 1)), posted.eq(0)]
        if self.top_k > 1:
            self._replay(m, source, index, first, give)
        return m

    def _replay(self, m: Module, source, index, first, give) -> None:
        """Keeps the packet as it passes to the first expert; for the others each beat is read a cycle before its turn,
        the first one while the job is posted."""
        m.submodules.packet = packet = Ram(source.shape(), self.beats)
        posting = self.jobs.valid & self.jobs.ready
        m.d.comb += [
            packet.write_enable.eq(give & first),
            packet.write_address.eq(index),
            packet.write_data.eq(self.i.payload),
            packet.read_enable.eq(~first & (posting | (give & ~source.last))),
            packet.read_address.eq(Mux(give, index + 1, 0)),
        ]
        with m.If(~first):
            m.d.comb += source.eq(packet.read_data)


class Route(Component):
    """To `o[expert]`: a demultiplexer of beats. Latency 0.

    Attributes
    ----------
    i: stream of beats, in; expert: its destination, in, which counts while a beat is valid.
    o: a stream of beats an expert, out.
    """

    def __init__(self, shape: data.StructLayout, num_experts: int) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "expert": In(index_width(num_experts)),
                "o": Out(stream.Signature(shape)).array(num_experts),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        free = Signal()
        for e, o in enumerate(self.o):
            m.d.comb += [o.valid.eq(self.i.valid & (self.expert == e)), o.payload.eq(self.i.payload)]
        with m.Switch(self.expert):
            for e, o in enumerate(self.o):
                with m.Case(e):
                    m.d.comb += free.eq(o.ready)
        m.d.comb += self.i.ready.eq(self.i.valid & free)
        return m


class Collect(Component):
    """Takes beats of layout `shape` from the experts, packets in the order of the jobs, of layout `task`. Latency 0.

    Attributes
    ----------
    jobs: stream of `job`, in; one is consumed with each packet's last beat.
    i: a stream of beats an expert, in.
    o: stream of beats, out; expert: where the current beat comes from, out.
    """

    def __init__(self, shape: data.StructLayout, num_experts: int, task: data.StructLayout) -> None:
        super().__init__(
            {
                "jobs": In(stream.Signature(task)),
                "i": In(stream.Signature(shape)).array(num_experts),
                "o": Out(stream.Signature(shape)),
                "expert": Out(task.members["expert"]),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        arrived = Signal()
        m.d.comb += self.expert.eq(self.jobs.payload.expert)
        with m.Switch(self.expert):
            for e, i in enumerate(self.i):
                with m.Case(e):
                    m.d.comb += [arrived.eq(i.valid), self.o.payload.eq(i.payload)]
        for e, i in enumerate(self.i):
            m.d.comb += i.ready.eq(self.jobs.valid & self.o.ready & (self.expert == e))
        m.d.comb += [
            self.o.valid.eq(self.jobs.valid & arrived),
            self.jobs.ready.eq(self.o.valid & self.o.ready & self.o.payload.last),
        ]
        return m
