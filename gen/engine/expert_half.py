"""The second half of a layer: experts."""

from amaranth.hdl import Module, signed
from amaranth.lib import wiring

from gen.design.layer_sizes import LayerSizes
from gen.engine.chains import (
    array_ports,
    half_ports,
    hidden_packets,
    norm_gains,
    pass_ends,
    rescaled,
    residual_way,
    scale_ports,
)
from gen.engine.hardwired import ConstantPorts
from gen.engine.network import network, network_ports
from gen.stream.component import Component
from gen.stream.gating import gated
from gen.stream.probe import add_probe
from gen.stream.queue import Queue
from gen.stream.stream import beat, chain, connect_vectors
from gen.units.combine import Combine
from gen.units.flow import Broadcast, Collect, Dispatch, Fork, Route
from gen.units.rescale import Rescale
from gen.units.residual import Residual
from gen.units.router import Router

__all__ = ["ExpertHalf"]


class ExpertHalf(Component):
    """Norm, router, the chosen experts, weighted sum, residual add.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    wired: `modules`, arrays and ROMs by name, and their clock.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes, experts = sizes, range(sizes.num_experts)
        self.modules = norm_gains(sizes, "post") | {
            "router": array_ports(sizes, "router", 1),
            "router_scales": scale_ports(sizes, 1, sizes.num_experts),
            **{f"expert_{e}_gate_up": array_ports(sizes, "gate_up", 2) for e in experts},
            "experts_gate_up_scales": scale_ports(sizes, 2, sizes.intermediate, len(experts)),
            **{f"expert_{e}_down": array_ports(sizes, "down", 1) for e in experts},
            "experts_down_scales": scale_ports(sizes, 1, sizes.hidden, len(experts)),
        }
        assert sizes.units.router is not None
        if sizes.units.router.biased:
            bias = signed(sizes.units.router.bias_width)
            self.modules["expert_bias"] = ConstantPorts(len(experts), bias)
        if sizes.experts.shared_size:
            self.modules |= network_ports(sizes, "shared", sizes.experts.shared_size)
        super().__init__(half_ports(sizes, self.modules))

    def elaborate(self, platform) -> Module:
        m, g, outside = Module(), self.sizes, wiring.flipped(self.wired)
        lanes, hidden, queues = g.lanes, g.beats(g.hidden), g.hardware.queues
        assert g.units.router is not None
        fork, residual, norm = residual_way(
            m, self, "post", self._depth(queues.residual), 3 if g.experts.capacity else 2
        )
        packet = norm[-1].o.payload.shape()
        m.submodules.packet_branch = packets = Fork(packet, 3 if g.experts.shared_size else 2)
        router_rescale = rescaled(
            m, self.test_enable, g, "router", 1, g.num_experts, outside.router.o, outside.router_scales
        )
        router = gated(m, self.test_enable, "router", Router(g.units.router, lanes))
        if g.units.router.biased:
            m.d.comb += [outside.expert_bias.index.eq(router.index), router.bias.eq(outside.expert_bias.data)]
        if g.experts.capacity:
            wiring.connect(m, pass_ends(m, fork.o[2], 1)[0], router.ends)
        m.submodules.dispatch = dispatch = Dispatch(packet, router.o.payload.shape(), hidden)
        m.submodules.waiting = waiting = Queue(packet, self._depth(queues.routing))
        m.submodules.jobs = jobs = Broadcast(dispatch.jobs.payload.shape(), 4, queues.jobs * g.top_k)

        chain(m, norm[-1], packets)
        chain(m, packets.o[0], outside.router.i)
        chain(m, router_rescale, router, dispatch.choice)
        chain(m, packets.o[1], waiting, dispatch.i)
        wiring.connect(m, dispatch.jobs, jobs.i)

        middle = self._gate_up(m, dispatch, jobs.o[0])
        down = self._down(m, middle, jobs.o[1], jobs.o[2])
        combine = self._combine(m, down, jobs.o[3])
        if g.experts.shared_size:
            self._add_shared(m, packets.o[2], combine.o, residual.i)
        else:
            chain(m, combine, residual)
        add_probe(m, "router.logits", router_rescale.o, g.num_experts, net="router_logits")
        add_probe(m, "expert.down", down.o, g.hidden, g.top_k)
        add_probe(m, "moe", combine.o, g.hidden)
        add_probe(m, "residual", residual.o, g.hidden)
        for name, chosen in (("experts", router.o.payload.experts), ("weights", router.o.payload.weights)):
            add_probe(m, f"router.{name}", router.o, g.top_k, value=chosen, net=f"router_{name}")
        return m

    def _depth(self, tokens: int) -> int:
        """Beats of a queue of so many tokens, and of those of the two blocks that a router by blocks holds."""
        g = self.sizes
        held = 2 * (g.shape.attention.block_length or 1) if g.experts.capacity else 0
        return (tokens + held) * g.beats(g.hidden)

    def _rescaled(self, m: Module, kind: str, banks: int, rows: int, jobs, route: Route) -> Rescale:
        """Arrays of one kind, collected in job order and rescaled; row scales of all experts in one ROM."""
        g, outside = self.sizes, wiring.flipped(self.wired)
        sums = beat(g.acc_width[kind], banks * g.lanes, g.activation(kind).scale_width)
        m.submodules[f"{kind}_collect"] = collect = Collect(sums, g.num_experts, jobs.payload.shape())
        for e in range(g.num_experts):
            array = getattr(outside, f"expert_{e}_{kind}")
            chain(m, route.o[e], array.i)
            chain(m, array.o, collect.i[e])
        wiring.connect(m, jobs, collect.jobs)
        scales = getattr(outside, f"experts_{kind}_scales")
        first = collect.expert * g.beats(rows)
        return rescaled(m, self.test_enable, g, kind, banks, rows, collect.o, scales, first)

    def _gate_up(self, m: Module, dispatch: Dispatch, jobs) -> Component:
        g = self.sizes
        m.submodules.gate_up_route = route = Route(dispatch.i.payload.shape(), g.num_experts)
        m.d.comb += [
            route.i.valid.eq(dispatch.o.valid),
            route.i.payload.eq(dispatch.o.payload.beat),
            route.expert.eq(dispatch.o.payload.expert),
            dispatch.o.ready.eq(route.i.ready),
        ]
        rescale = self._rescaled(m, "gate_up", 2, g.intermediate, jobs, route)
        hidden = hidden_packets(m, self.test_enable, g, g.intermediate)
        chain(m, rescale, *hidden)
        add_probe(m, "expert.gate_up", rescale.o, g.intermediate, g.top_k, banks=2)
        return hidden[-1]

    def _down(self, m: Module, middle: Component, route_jobs, collect_jobs) -> Rescale:
        g = self.sizes
        m.submodules.down_route = route = Route(middle.o.payload.shape(), g.num_experts)
        m.d.comb += [
            route.i.valid.eq(middle.o.valid & route_jobs.valid),
            route.i.payload.eq(middle.o.payload),
            route.expert.eq(route_jobs.payload.expert),
            middle.o.ready.eq(route.i.ready & route_jobs.valid),
            route_jobs.ready.eq(middle.o.valid & route.i.ready & middle.o.payload.last),
        ]
        return self._rescaled(m, "down", 1, g.hidden, collect_jobs, route)

    def _add_shared(self, m: Module, packets, moe, target) -> None:
        """The shared expert's result, which waits for that of the chosen ones, added to it."""
        g, size = self.sizes, self.sizes.experts.shared_size
        shared = network(m, self.test_enable, g, "shared", size, packets, wiring.flipped(self.wired))
        m.submodules.with_shared = total = Residual(g.units.word, g.lanes, self._depth(g.hardware.queues.residual))
        connect_vectors(m, shared.o, total.x)
        wiring.connect(m, moe, total.i)
        connect_vectors(m, total.o, target)

    def _combine(self, m: Module, down: Rescale, jobs) -> Combine:
        g = self.sizes
        combine = Combine(g.units.combine, jobs.payload.shape().members["weight"], g.lanes, g.beats(g.hidden), g.top_k)
        gated(m, self.test_enable, "combine", combine, packets=g.top_k)
        m.d.comb += [
            combine.i.valid.eq(down.o.valid & jobs.valid),
            combine.i.payload.beat.eq(down.o.payload),
            combine.i.payload.weight.eq(jobs.payload.weight),
            down.o.ready.eq(combine.i.ready & jobs.valid),
            jobs.ready.eq(down.o.valid & combine.i.ready & down.o.payload.last),
        ]
        return combine
