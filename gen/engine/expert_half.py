"""The second half of a layer: experts."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, signed
from amaranth.lib import wiring

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.chains import (
    array_ports,
    half_ports,
    norm_gains,
    pass_ends,
    rescaled,
    residual_way,
    scale_ports,
)
from hardloom.gen.engine.expert_group import ExpertGroup
from hardloom.gen.engine.hardwired import ConstantPorts
from hardloom.gen.engine.network import network, network_ports
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.queue import Queue
from hardloom.gen.stream.stream import chain, connect_vectors
from hardloom.gen.units.combine import Combine, exact_sums
from hardloom.gen.units.flow import Dispatch, Fork
from hardloom.gen.units.residual import Residual
from hardloom.gen.units.router import Router
from hardloom.gen.units.turns import Deal, Gather

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
            **{f"expert_{e}_down": array_ports(sizes, "down", 1) for e in experts},
        }
        for name, group in sizes.expert_groups.items():
            self.modules[f"{name}experts_gate_up_scales"] = scale_ports(sizes, 2, sizes.intermediate, len(group))
            self.modules[f"{name}experts_down_scales"] = scale_ports(sizes, 1, sizes.hidden, len(group))
        assert sizes.units.router is not None
        if sizes.units.router.biased:
            bias = signed(sizes.units.router.bias_width)
            for name in sizes.hardware.router_names:
                self.modules[f"{name}expert_bias"] = ConstantPorts(len(experts), bias)
        if sizes.experts.shared_size:
            self.modules |= network_ports(sizes, "shared", sizes.experts.shared_size)
        super().__init__(half_ports(sizes, self.modules))

    def elaborate(self, platform) -> Module:
        m, g, outside = Module(), self.sizes, wiring.flipped(self.wired)
        queues, shared, by_blocks = g.hardware.queues, g.experts.shared_size, bool(g.experts.capacity)
        fork, residual, norm = residual_way(m, self, "post", self._depth(queues.residual), 2 + by_blocks)
        packet = norm[-1].o.payload.shape()
        m.submodules.packet_branch = packets = Fork(packet, 3 if shared else 2)
        m.submodules.waiting = waiting = Queue(packet, self._depth(queues.routing))
        chain(m, norm[-1], packets)
        chain(m, packets.o[0], outside.router.i)
        chain(m, packets.o[1], waiting)
        router, choices = self._routed(m)
        if by_blocks:
            wiring.connect(m, pass_ends(m, fork.o[2], 1)[0], router.ends)
        combine = self._experts(m, choices, waiting.o)
        if shared:
            self._add_shared(m, packets.o[2], combine.o, residual.i)
        else:
            chain(m, combine, residual)
        add_probe(m, "moe", combine.o, g.hidden)
        add_probe(m, "residual", residual.o, g.hidden)
        return m

    def _depth(self, tokens: int) -> int:
        """Beats of a queue of so many tokens, and of those of the two blocks that a router by blocks holds."""
        g = self.sizes
        held = 2 * (g.shape.attention.block_length or 1) if g.experts.capacity else 0
        return (tokens + held) * g.beats(g.hidden)

    def _routed(self, m: Module) -> list[Component]:
        """The router's array, and the router behind it or several; the first of them, and what gives the choices."""
        g, outside = self.sizes, wiring.flipped(self.wired)
        scales = outside.router_scales
        logits = rescaled(m, self.test_enable, g, "router", 1, g.num_experts, outside.router.o, scales)
        routers = [self._router(m, name) for name in g.hardware.router_names]
        router: Component = routers[0]
        if len(routers) == 1:
            chain(m, logits, router)
        else:
            m.submodules.router_deal = deal = Deal(logits.o.payload.shape(), len(routers))
            m.submodules.router_gather = gather = Gather(router.o.payload.shape(), len(routers))
            chain(m, logits, deal)
            for into, one, out in zip(deal.o, routers, gather.i, strict=True):
                chain(m, into, one, out)
            router = gather
        add_probe(m, "router.logits", logits.o, g.num_experts, net="router_logits")
        for name, chosen in (("experts", router.o.payload.experts), ("weights", router.o.payload.weights)):
            add_probe(m, f"router.{name}", router.o, g.top_k, value=chosen, net=f"router_{name}")
        return [routers[0], router]

    def _router(self, m: Module, name: str) -> Router:
        """A router, whose parts are named so, with the ROM of its biases where it has them."""
        spec = self.sizes.units.router
        assert spec is not None
        router = gated(m, self.test_enable, name.rstrip("_") or "router", Router(spec, self.sizes.lanes))
        if spec.biased:
            biases = getattr(wiring.flipped(self.wired), f"{name}expert_bias")
            m.d.comb += [biases.index.eq(router.index), router.bias.eq(biases.data)]
        return router

    def _experts(self, m: Module, router: Component, packets) -> Combine:
        """The chosen experts of each packet, and the sum of their results by weight."""
        g, choice = self.sizes, router.o.payload.shape()
        groups, outside = g.expert_groups, wiring.flipped(self.wired)
        dispatch = Dispatch(packets.payload.shape(), choice, g.num_experts, len(groups))
        m.submodules.dispatch = dispatch
        wiring.connect(m, packets, dispatch.i)
        sums = exact_sums(g.units.word, choice.members["weights"].elem_shape, g.lanes, g.top_k)
        m.submodules.combine = combine = Combine(g.units.combine, sums, len(groups))
        if len(groups) > 1:
            self._shares(m, router, dispatch, combine)
        else:
            chain(m, router, dispatch.choice)
        for (name, experts), jobs, result in zip(groups.items(), dispatch.jobs, combine.i, strict=True):
            group = ExpertGroup(g, self.test_enable, name, outside, sums)
            chain(m, group.add(m, [dispatch.o[e] for e in experts], jobs), result)
        return combine

    def _shares(self, m: Module, router: Component, dispatch: Dispatch, combine: Combine) -> None:
        """A token's choice goes to the dispatcher, and the groups that it falls on to what waits for their sums."""
        count = dispatch.groups
        m.submodules.choice_branch = branch = Fork(router.o.payload.shape(), 2)
        m.submodules.shares = shares = Queue(count, self.sizes.hardware.queues.residual)
        chain(m, router, branch)
        chain(m, branch.o[0], dispatch.choice)
        chain(m, shares, combine.shares)
        m.d.comb += [
            shares.i.valid.eq(branch.o[1].valid),
            shares.i.payload.eq(reduce(or_, (1 << (expert % count) for expert in branch.o[1].payload.experts))),
            branch.o[1].ready.eq(shares.i.ready),
        ]

    def _add_shared(self, m: Module, packets, moe, target) -> None:
        """The shared expert's result, which waits for that of the chosen ones, added to it."""
        g, size = self.sizes, self.sizes.experts.shared_size
        shared = network(m, self.test_enable, g, "shared", size, packets, wiring.flipped(self.wired))
        m.submodules.with_shared = total = Residual(g.units.word, g.lanes, self._depth(g.hardware.queues.residual))
        connect_vectors(m, shared.o, total.x)
        wiring.connect(m, moe, total.i)
        connect_vectors(m, total.o, target)
