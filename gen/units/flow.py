"""Streams that part and meet: fork, bank split, expert dispatch and collection."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, ShapeLike, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import Queue
from hardloom.gen.stream.stream import beat, chain
from hardloom.gen.text.constant_module import index_width

__all__ = ["MOST_VECTOR", "Broadcast", "Collect", "Dispatch", "Fork", "HeadSplit", "Route", "job"]

MOST_VECTOR = 1 << 16
"""Bits of a vector: as many as every tool that reads Verilog-2005 takes, by the standard."""


def job(choice: data.StructLayout, experts: int) -> data.StructLayout:
    """One token at one expert of its `choice` (`gen.units.router.choice`): `expert`, its number among the `experts` of
    its group, router `weight`, and whether it is the token's `final` one there."""
    weight = choice.members["weights"].elem_shape
    return data.StructLayout({"expert": index_width(experts), "weight": weight, "final": 1})


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
    """Sends each token's packet to all of its experts at once, and posts its jobs to their groups, best first.

    Every expert takes a beat at its own pace, and the next beat comes when all have it. Latency 0; a token takes as
    many cycles as its packet has beats, or `top_k` + 1, one a job: the last beat waits until all are posted.

    Parameters
    ----------
    shape: layout of a beat. choice: of what the router gives.
    num_experts, groups: experts, of which number e is in group e mod `groups`, its number there e / `groups`.

    Attributes
    ----------
    i: stream of beats, in.
    choice: stream of {experts, weights} from the router, in.
    o: a stream of beats an expert, out.
    jobs: a stream of `job` a group, out.
    """

    def __init__(self, shape: data.StructLayout, choice: data.StructLayout, num_experts: int, groups: int = 1) -> None:
        self.top_k, self.num_experts, self.groups = choice.members["experts"].length, num_experts, groups
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "choice": In(stream.Signature(choice)),
                "o": Out(stream.Signature(shape)).array(num_experts),
                "jobs": Out(stream.Signature(job(choice, num_experts // groups))).array(groups),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        last = self.i.payload.last
        chosen, done, served = (Signal(self.num_experts, name=name) for name in ("chosen", "done", "served"))
        posted = Signal()
        given = Signal()
        m.d.comb += chosen.eq(reduce(or_, (1 << expert for expert in self.choice.payload.experts)))
        for e, o in enumerate(self.o):
            m.d.comb += [
                o.valid.eq(given & chosen[e] & ~done[e]),
                o.payload.eq(self.i.payload),
                served[e].eq(done[e] | o.ready | ~chosen[e]),
            ]
        m.d.comb += [
            given.eq(self.i.valid & self.choice.valid & (posted | ~last)),
            self.i.ready.eq(given & served.all()),
            self.choice.ready.eq(self.i.ready & last),
        ]
        with m.If(given):
            m.d.sync += done.eq(Mux(self.i.ready, 0, served))
        self._post(m, posted)
        return m

    def _post(self, m: Module, posted: Signal) -> None:
        """One job a cycle; `posted` from the last one until the choice is gone."""
        choice = self.choice.payload
        turn = Signal(range(self.top_k))
        step = Signal()
        groups = [expert % self.groups for expert in choice.experts]
        finals = [~Cat(one == later for later in groups[k + 1 :]).any() for k, one in enumerate(groups)]
        numbers = [expert // self.groups for expert in choice.experts]
        number, weight, group, final = (
            Array(each)[turn] if self.top_k > 1 else each[0] for each in (numbers, [*choice.weights], groups, finals)
        )
        for place, jobs in enumerate(self.jobs):
            m.d.comb += [
                jobs.valid.eq(self.choice.valid & ~posted & (group == place)),
                jobs.payload.expert.eq(number),
                jobs.payload.weight.eq(weight),
                jobs.payload.final.eq(final),
            ]
        m.d.comb += step.eq(Cat(jobs.valid & jobs.ready for jobs in self.jobs).any())
        with m.If(self.choice.ready):
            m.d.sync += posted.eq(0)
        with m.Elif(step):
            m.d.sync += [turn.eq(Mux(turn == self.top_k - 1, 0, turn + 1)), posted.eq(turn == self.top_k - 1)]


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

    Parameters
    ----------
    most_vector: bits of a vector in the Verilog, at most. What all experts give is one vector, or several, each of a
        part of the beats.

    Attributes
    ----------
    jobs: stream of `job`, in; one is consumed with each packet's last beat.
    i: a stream of beats an expert, in.
    o: stream of beats, out; expert: where the current beat comes from, out.
    """

    def __init__(
        self, shape: data.StructLayout, num_experts: int, task: data.StructLayout, most_vector: int = MOST_VECTOR
    ) -> None:
        self.most_vector = most_vector
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
        taken, given = Cat(arrived, self.o.payload), [Cat(i.valid, i.payload) for i in self.i]
        step = -(-len(taken) // -(-len(taken) * len(given) // self.most_vector))
        for first in range(0, len(taken), step):
            with m.Switch(self.expert):
                for e, beats in enumerate(given):
                    with m.Case(e):
                        m.d.comb += taken[first : first + step].eq(beats[first : first + step])
        for e, i in enumerate(self.i):
            m.d.comb += i.ready.eq(self.jobs.valid & self.o.ready & (self.expert == e))
        m.d.comb += [
            self.o.valid.eq(self.jobs.valid & arrived),
            self.jobs.ready.eq(self.o.valid & self.o.ready & self.o.payload.last),
        ]
        return m
