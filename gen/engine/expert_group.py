"""A group of a layer's experts, and what they share: units that take the results of one after the other."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.chains import hidden_packets, rescaled
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.queue import FULL_RATE, Queue
from hardloom.gen.stream.stream import activations, beat, chain
from hardloom.gen.units.combine import WeightedSum
from hardloom.gen.units.flow import Broadcast, Collect, Route
from hardloom.gen.units.rescale import Rescale

__all__ = ["ExpertGroup"]


def queued(m: Module, name: str, shape, depth: int) -> list[Queue]:
    """A queue of so many beats of `shape`, or of a few more where it would slow them down; none where that is 0."""
    if not depth:
        return []
    m.submodules[name] = queue = Queue(shape, max(depth, FULL_RATE))
    return [queue]


class ExpertGroup:
    """From the packets and jobs of a group's experts to a sum for each token that has one among them.

    Parameters
    ----------
    sizes: of the layer. test_enable: of clock gates.
    name: of the group; its parts begin with it. It is one of `sizes.expert_groups`.
    outside: arrays and ROMs of the layer's experts by name.
    sums: layout of a beat of the sums.
    """

    def __init__(self, sizes: LayerSizes, test_enable, name: str, outside, sums) -> None:
        self.sizes, self.test_enable, self.name, self.outside, self.sums = sizes, test_enable, name, outside, sums
        self.experts = sizes.expert_groups[name]
        self.share = [*sizes.expert_groups].index(name), len(sizes.expert_groups)

    def add(self, m: Module, packets, jobs) -> Component:
        """Add the group to `m`, behind a stream of packets for each of its experts and that of its jobs; its last unit,
        which gives the sums."""
        g = self.sizes
        part = self.name + "jobs"
        m.submodules[part] = waiting = Broadcast(jobs.payload.shape(), 4, g.hardware.queues.jobs * g.top_k)
        wiring.connect(m, jobs, waiting.i)
        gate_up = self._rescaled(m, "gate_up", 2, (g.intermediate, g.hidden), waiting.o[0], packets)
        hidden = hidden_packets(m, self.test_enable, g, g.intermediate, self.name)
        chain(m, gate_up, *hidden)
        routed = self._routed(m, hidden[-1].o, waiting.o[1])
        down = self._rescaled(m, "down", 1, (g.hidden, g.intermediate), waiting.o[2], routed)
        for kind, rescale, rows, banks in (("gate_up", gate_up, g.intermediate, 2), ("down", down, g.hidden, 1)):
            net = self.name + kind
            add_probe(m, f"expert.{kind}", rescale.o, rows, g.top_k, banks=banks, net=net, share=self.share)
        return self._weighted(m, down.o, waiting.o[3])

    def _rescaled(self, m: Module, kind: str, banks: int, shape: tuple[int, int], jobs, packets) -> Rescale:
        """Arrays of one kind and `shape`, collected in job order and rescaled; row scales of all of them in one ROM.

        Packets may wait before each array, and sums behind it.
        """
        g, (rows, inputs), queues = self.sizes, shape, self.sizes.hardware.queues
        depths = queues.packets * g.beats(inputs), queues.results * g.beats(rows)
        sums = beat(g.acc_width[kind], banks * g.lanes, g.activation(kind).scale_width)
        collect = Collect(sums, len(self.experts), jobs.payload.shape())
        m.submodules[f"{self.name}{kind}_collect"] = collect
        for e, into, out in zip(self.experts, packets, collect.i, strict=True):
            name = f"expert_{e}_{kind}"
            array = getattr(self.outside, name)
            chain(m, into, *queued(m, f"{name}_packets", into.payload.shape(), depths[0]), array.i)
            chain(m, array.o, *queued(m, f"{name}_results", sums, depths[1]), out)
        wiring.connect(m, jobs, collect.jobs)
        scales = getattr(self.outside, f"{self.name}experts_{kind}_scales")
        first = collect.expert * g.beats(rows)
        return rescaled(m, self.test_enable, g, kind, banks, rows, collect.o, scales, first, self.name)

    def _routed(self, m: Module, middle, jobs) -> list:
        """What stands between gate and down, to the expert of each of the jobs."""
        g = self.sizes
        route = Route(activations(g.activation("down"), g.lanes), len(self.experts))
        m.submodules[f"{self.name}down_route"] = route
        m.d.comb += [
            route.i.valid.eq(middle.valid & jobs.valid),
            route.i.payload.eq(middle.payload),
            route.expert.eq(jobs.payload.expert),
            middle.ready.eq(route.i.ready & jobs.valid),
            jobs.ready.eq(middle.valid & route.i.ready & middle.payload.last),
        ]
        return list(route.o)

    def _weighted(self, m: Module, down, jobs) -> Component:
        """The sum of each token's results by the weights of its jobs; with several groups, in a queue."""
        g, weight = self.sizes, jobs.payload.shape().members["weight"]
        total = WeightedSum(g.units.word, weight, self.sums, g.beats(g.hidden), min(g.top_k, len(self.experts)))
        gated(m, self.test_enable, self.name + "weighted_sum", total)
        m.d.comb += [
            total.i.valid.eq(down.valid & jobs.valid),
            total.i.payload.beat.eq(down.payload),
            total.i.payload.weight.eq(jobs.payload.weight),
            total.i.payload.final.eq(jobs.payload.final),
            down.ready.eq(total.i.ready & jobs.valid),
            jobs.ready.eq(down.valid & total.i.ready & down.payload.last),
        ]
        if self.share[1] == 1:
            return total
        m.submodules[self.name + "sums"] = queue = Queue(self.sums, g.hardware.queues.sums * g.beats(g.hidden))
        chain(m, total, queue)
        return queue
