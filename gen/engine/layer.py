"""The layer engine: one transformer layer from residual stream to residual stream."""

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.design.layer_sizes import LayerSizes
from gen.engine.hardwired import HardwiredArray, HardwiredConstants
from gen.stream.component import Component
from gen.stream.gating import gated
from gen.stream.probe import add_probe
from gen.stream.queue import Queue
from gen.stream.stream import beat, chain, connect_vectors, residual_beat
from gen.units.attention import Attention
from gen.units.attention_sizes import AttentionSizes
from gen.units.combine import Combine
from gen.units.flow import Broadcast, Collect, Dispatch, Fork, HeadSplit, Route
from gen.units.gain import Gain
from gen.units.quantize import Quantize
from gen.units.rescale import Rescale
from gen.units.residual import Residual
from gen.units.rmsnorm import RMSNorm
from gen.units.rope import Rope
from gen.units.router import Router
from gen.units.swiglu import SwiGLU

__all__ = ["AttentionHalf", "ExpertHalf", "LayerEngine", "norm_to_packets", "rescaled_array"]


SITES = {"q": "query", "k": "key"}
"""Sites of quantization, fields of `golden.units.numerics.ActivationBits`."""

ENDS = ("q_rope", "k_rope", "q", "k", "v")
"""Places in an attention half that are told where a pass ends: rotations, and memories of attention."""

ENDS_DEPTH = 16
"""Positions that are between a half's input and the last of these places, and more."""


def rescaled_array(
    m: Module, test_enable, sizes: LayerSizes, name: str, banks: int, rows: int
) -> tuple[HardwiredArray, Rescale]:
    """Hardwired array `name`, its rescale unit and its row-scale ROM, connected; test_enable: of their clock gates."""
    lanes, beats, width = sizes.lanes, sizes.beats(rows), sizes.acc_width[name]
    activation = sizes.activation(name.rpartition(".")[2])
    array = HardwiredArray(sizes.module(name), activation, lanes, banks, width)
    rescale = Rescale(sizes.units.rescale, width, activation.scale_width, banks * lanes, beats)
    scales = HardwiredConstants(sizes.module(name) + "_scales", beats, rescale.rows.shape())
    m.submodules[f"{name}_array"] = array
    m.submodules[f"{name}_scales"] = scales
    gated(m, test_enable, f"{name}_rescale", rescale)
    m.d.comb += [array.test_enable.eq(test_enable), scales.index.eq(rescale.index), rescale.rows.eq(scales.data)]
    chain(m, array, rescale)
    return array, rescale


def norm_to_packets(m: Module, test_enable, sizes: LayerSizes, name: str) -> list[Component]:
    """Norm `name`, its gain where that stands behind it, and the packets made of it: units to be chained.

    test_enable: of their clock gates.
    """
    lanes, beats, units = sizes.lanes, sizes.beats(sizes.hidden), sizes.units
    parts: list[Component] = [gated(m, test_enable, f"{name}_norm", RMSNorm(units.norm, lanes))]
    if name in sizes.norms:
        gain = gated(m, test_enable, f"{name}_gain", Gain(units.gain, lanes, beats))
        constants = HardwiredConstants(sizes.module(f"{name}_gain"), beats, gain.gains.shape())
        m.submodules[f"{name}_gain_constants"] = constants
        m.d.comb += [constants.index.eq(gain.index), gain.gains.eq(constants.data)]
        parts.append(gain)
    return [*parts, gated(m, test_enable, f"{name}_quantize", Quantize(units.quantize("norm"), lanes, 2 * beats))]


def residual_ports(sizes: LayerSizes, adders: int) -> dict[str, wiring.Member]:
    """Ports of what takes the residual stream, at `i`, and gives it changed, at `o`; and of the clock gates in it.

    `saturated`: elements that its so many adders saturate in a cycle, out.
    """
    word = stream.Signature(residual_beat(sizes.numerics.word.width, sizes.lanes))
    saturated = Out(range(adders * sizes.lanes + 1))
    return {"test_enable": In(1), "i": In(word), "o": Out(word), "saturated": saturated}


class AttentionHalf(Component):
    """Norm, q/k/v, head norm and RoPE, attention, o, residual add.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        super().__init__(residual_ports(sizes, 1))

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        units, lanes, hidden, head = g.units, g.lanes, g.beats(g.hidden), g.beats(g.head_dim)
        m.submodules.branch = fork = Fork(self.i.payload.shape(), 3)
        m.submodules.residual = residual = Residual(units.word, lanes, g.max_positions * hidden)
        ends = self._ends(m, fork.o[2])
        norm = norm_to_packets(m, self.test_enable, g, "input")
        qkv, rescale = rescaled_array(m, self.test_enable, g, "qkv", 3, g.hidden)
        m.submodules.heads = heads = HeadSplit(units.word.width, lanes, head)
        at_once = {"head_lanes": g.hardware.head_lanes, "query_lanes": g.hardware.query_lanes}
        attention = Attention(AttentionSizes(units.attention, g.heads, lanes, g.max_positions, **at_once))
        gated(m, self.test_enable, "attention", attention, ("q", "k", "v"), g.heads)
        output_quantize = gated(
            m, self.test_enable, "output_quantize", Quantize(units.quantize("mix"), lanes, 2 * hidden)
        )
        o, o_rescale = rescaled_array(m, self.test_enable, g, "o", 1, g.hidden)
        v_quantize = gated(m, self.test_enable, "v_quantize", Quantize(units.quantize("value"), lanes, 2 * head))

        wiring.connect(m, wiring.flipped(self.i), fork.i)
        wiring.connect(m, fork.o[0], residual.x)
        connect_vectors(m, fork.o[1], norm[0].i)
        chain(m, *norm, qkv)
        wiring.connect(m, rescale.o, heads.i)
        chain(m, heads.o[0], *self._rotated(m, "q", ends["q_rope"]), attention.q)
        chain(m, heads.o[1], *self._rotated(m, "k", ends["k_rope"]), attention.k)
        chain(m, heads.o[2], v_quantize, attention.v)
        for name in "qkv":
            wiring.connect(m, ends[name], getattr(attention, f"{name}_ends"))
        chain(m, attention, output_quantize, o)
        chain(m, o_rescale, residual, wiring.flipped(self.o))
        m.d.comb += self.saturated.eq(residual.saturated)
        add_probe(m, "input_norm", norm[-1].o, g.hidden)
        add_probe(m, "v", v_quantize.o, g.head_dim, g.heads)
        add_probe(m, "attention.output", attention.o, g.hidden)
        add_probe(m, "o", o_rescale.o, g.hidden)
        add_probe(m, "attention.residual", residual.o, g.hidden)
        return m

    def _ends(self, m: Module, source) -> dict[str, Any]:
        """Where passes end, one bit a position, past norm and array to each place that asks: streams by place."""
        m.submodules.ends = ends = Broadcast(unsigned(1), len(ENDS), ENDS_DEPTH)
        m.d.comb += [
            ends.i.payload.eq(source.payload.end),
            ends.i.valid.eq(source.valid & source.payload.last),
            source.ready.eq(ends.i.ready | ~source.payload.last),
        ]
        return dict(zip(ENDS, ends.o, strict=True))

    def _rotated(self, m: Module, name: str, ends) -> tuple[RMSNorm, Rope, Quantize]:
        """Head norm, gain and rotation, packets: the chain that q and k each have; ends: of passes, a stream."""
        g = self.sizes
        norm = gated(m, self.test_enable, f"{name}_norm", RMSNorm(g.units.head_norm, g.lanes))
        rope = gated(m, self.test_enable, f"{name}_rope", Rope(g.units.rope, g.lanes, g.heads, g.max_positions))
        quantize = gated(
            m,
            self.test_enable,
            f"{name}_quantize",
            Quantize(g.units.quantize(SITES[name]), g.lanes, 2 * g.beats(g.head_dim)),
        )
        gains = HardwiredConstants(g.module(f"{name}_gain"), g.beats(g.head_dim), rope.gains.shape())
        m.submodules[f"{name}_gain"] = gains
        m.d.comb += [gains.index.eq(rope.index), rope.gains.eq(gains.data)]
        wiring.connect(m, ends, rope.ends)
        add_probe(m, name, quantize.o, g.head_dim, g.heads)
        return norm, rope, quantize


class ExpertHalf(Component):
    """Norm, router, the chosen experts, weighted sum, residual add.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        super().__init__(residual_ports(sizes, 1))

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        lanes, hidden, queues = g.lanes, g.beats(g.hidden), g.hardware.queues
        m.submodules.branch = fork = Fork(self.i.payload.shape(), 2)
        m.submodules.residual = residual = Residual(g.units.word, lanes, queues.residual * hidden)
        norm = norm_to_packets(m, self.test_enable, g, "post")
        packet = norm[-1].o.payload.shape()
        m.submodules.packet_branch = packets = Fork(packet, 2)
        router_array, router_rescale = rescaled_array(m, self.test_enable, g, "router", 1, g.num_experts)
        assert g.units.router is not None
        router = gated(m, self.test_enable, "router", Router(g.units.router, lanes))
        if g.units.router.biased:
            m.submodules.expert_bias = bias = HardwiredConstants(
                g.module("expert_bias"), g.num_experts, router.bias.shape()
            )
            m.d.comb += [bias.index.eq(router.index), router.bias.eq(bias.data)]
        m.submodules.dispatch = dispatch = Dispatch(packet, router.o.payload.shape(), hidden)
        m.submodules.waiting = waiting = Queue(packet, queues.routing * hidden)
        m.submodules.jobs = jobs = Broadcast(dispatch.jobs.payload.shape(), 4, queues.jobs * g.top_k)

        wiring.connect(m, wiring.flipped(self.i), fork.i)
        wiring.connect(m, fork.o[0], residual.x)
        connect_vectors(m, fork.o[1], norm[0].i)
        chain(m, *norm, packets)
        wiring.connect(m, packets.o[0], router_array.i)
        chain(m, router_rescale, router, dispatch.choice)
        chain(m, packets.o[1], waiting, dispatch.i)
        wiring.connect(m, dispatch.jobs, jobs.i)

        middle = self._gate_up(m, dispatch, jobs.o[0])
        down = self._down(m, middle, jobs.o[1], jobs.o[2])
        combine = self._combine(m, down, jobs.o[3])
        chain(m, combine, residual, wiring.flipped(self.o))
        m.d.comb += self.saturated.eq(residual.saturated)
        add_probe(m, "post_norm", norm[-1].o, g.hidden)
        add_probe(m, "router.logits", router_rescale.o, g.num_experts, net="router_logits")
        add_probe(m, "expert.down", down.o, g.hidden, g.top_k)
        add_probe(m, "moe", combine.o, g.hidden)
        add_probe(m, "residual", residual.o, g.hidden)
        for name, chosen in (("experts", router.o.payload.experts), ("weights", router.o.payload.weights)):
            add_probe(m, f"router.{name}", router.o, g.top_k, value=chosen, net=f"router_{name}")
        return m

    def _arrays(self, m: Module, kind: str, banks: int, route: Route, collect: Collect) -> None:
        """The experts' arrays of one kind between a demultiplexer and a collector."""
        g, activation = self.sizes, self.sizes.activation(kind)
        width = len(collect.o.payload.data[0])
        for e in range(g.num_experts):
            name = f"expert.{e}.{kind}"
            array = HardwiredArray(g.module(name), activation, g.lanes, banks, g.acc_width[name], width)
            m.submodules[f"expert_{e}_{kind}"] = array
            m.d.comb += array.test_enable.eq(self.test_enable)
            wiring.connect(m, route.o[e], array.i)
            wiring.connect(m, array.o, collect.i[e])

    def _rescaled(self, m: Module, kind: str, banks: int, rows: int, jobs, route: Route) -> Rescale:
        """Arrays of one kind, collected in job order and rescaled; row scales of all experts in one ROM."""
        g = self.sizes
        lanes, beats = g.lanes, g.beats(rows)
        width = max(g.acc_width[f"expert.{e}.{kind}"] for e in range(g.num_experts))
        scale_width = g.activation(kind).scale_width
        collect = Collect(beat(width, banks * lanes, scale_width), g.num_experts, jobs.payload.shape())
        rescale = Rescale(g.units.rescale, width, scale_width, banks * lanes, beats)
        scales = HardwiredConstants(
            g.module(f"experts.{kind}") + "_scales", g.num_experts * beats, rescale.rows.shape()
        )
        m.submodules[f"{kind}_collect"] = collect
        m.submodules[f"{kind}_scales"] = scales
        gated(m, self.test_enable, f"{kind}_rescale", rescale)
        self._arrays(m, kind, banks, route, collect)
        wiring.connect(m, jobs, collect.jobs)
        m.d.comb += [scales.index.eq(collect.expert * beats + rescale.index), rescale.rows.eq(scales.data)]
        chain(m, collect, rescale)
        return rescale

    def _gate_up(self, m: Module, dispatch: Dispatch, jobs) -> Quantize:
        g = self.sizes
        m.submodules.gate_up_route = route = Route(dispatch.i.payload.shape(), g.num_experts)
        m.d.comb += [
            route.i.valid.eq(dispatch.o.valid),
            route.i.payload.eq(dispatch.o.payload.beat),
            route.expert.eq(dispatch.o.payload.expert),
            dispatch.o.ready.eq(route.i.ready),
        ]
        rescale = self._rescaled(m, "gate_up", 2, g.intermediate, jobs, route)
        swiglu = gated(m, self.test_enable, "swiglu", SwiGLU(g.units.swiglu, g.lanes))
        quantize = gated(
            m,
            self.test_enable,
            "middle_quantize",
            Quantize(g.units.quantize("swiglu"), g.lanes, 2 * g.beats(g.intermediate)),
        )
        chain(m, rescale, swiglu, quantize)
        add_probe(m, "expert.gate_up", rescale.o, g.intermediate, g.top_k, banks=2)
        return quantize

    def _down(self, m: Module, middle: Quantize, route_jobs, collect_jobs) -> Rescale:
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


class LayerEngine(Component):
    """One layer: attention half, expert half, each on a clock that stops while it holds no token.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        super().__init__(residual_ports(sizes, 2))

    def elaborate(self, platform) -> Module:
        m = Module()
        attention = gated(m, self.test_enable, "attention", AttentionHalf(self.sizes))
        experts = gated(m, self.test_enable, "experts", ExpertHalf(self.sizes))
        m.d.comb += [half.test_enable.eq(self.test_enable) for half in (attention, experts)]
        m.d.sync += self.saturated.eq(attention.saturated + experts.saturated)  # a beat is added where the clock runs
        chain(m, wiring.flipped(self.i), attention, experts, wiring.flipped(self.o))
        return m
