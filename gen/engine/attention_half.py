"""The first half of a layer: attention."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring

from hardloom.gen.design.adapters import array_bits
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.chains import (
    adapter_ports,
    array_ports,
    bias_ports,
    biased,
    gain_ports,
    half_ports,
    norm_gains,
    pass_ends,
    rescaled,
    residual_way,
    scale_ports,
    span_ports,
)
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import activations, chain
from hardloom.gen.units.adapter import Adapter
from hardloom.gen.units.attention import Attention
from hardloom.gen.units.attention_sizes import AttentionSizes
from hardloom.gen.units.clip import Clip
from hardloom.gen.units.flow import Broadcast, Fork, HeadSplit
from hardloom.gen.units.quantize import Quantize
from hardloom.gen.units.rmsnorm import RMSNorm
from hardloom.gen.units.rope import Rope
from hardloom.golden.units.adapter import Adapter as AdapterSpec
from hardloom.golden.units.quantize import Quantize as QuantizeSpec

__all__ = ["AttentionHalf"]

SPANS = ("q_rope", "k_rope", "k", "v")
"""Places that are told which part of a sequence a pass computes, where keys and values are kept."""

ENDS = ("q_rope", "k_rope", "q", "k", "v")
"""Places in an attention half that are told where a pass ends: rotations, and memories of attention."""


class AttentionHalf(Component):
    """Norm, q/k/v with their biases, head norm, clip and RoPE, attention, o, residual add.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    spans: stream of `gen.units.span.span_shape`, one a pass, in; only where keys and values are kept.
    adapter_loads, adapter_enable: as `adapter_ports` has them.
    wired: `modules`, arrays and ROMs by name, and their clock.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes, gain_width = sizes, sizes.units.rope.gain_width
        self.modules = norm_gains(sizes, "input")
        for kind, names in sizes.shape.attention.projections.items():
            rows = sizes.heads_of(names[0]) * sizes.head_dim
            self.modules |= {kind: array_ports(sizes, kind, len(names))}
            self.modules |= {f"{kind}_scales": scale_ports(sizes, len(names), rows)}
            if sizes.shape.attention.bias:
                self.modules |= {f"{kind}_bias": bias_ports(sizes, len(names), rows)}
        self.modules |= {"o": array_ports(sizes, "o", 1), "o_scales": scale_ports(sizes, 1, sizes.hidden)}
        if sizes.shape.attention.head_norms:
            self.modules |= {f"{n}_gain": gain_ports(sizes, gain_width, sizes.head_dim) for n in "qk"}
        super().__init__(half_ports(sizes, self.modules) | span_ports(sizes) | adapter_ports(sizes))

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        units, lanes, head = g.units, g.lanes, g.beats(g.head_dim)
        depth = g.passes * g.max_positions * g.beats(g.hidden)
        fork, residual, norm = residual_way(m, self, "input", depth, branches=3)
        ends = dict(zip(ENDS, pass_ends(m, fork.o[2], len(ENDS)), strict=True))
        spans = self._spans(m)
        heads = self._projected(m, norm[-1].o)
        attention = Attention(self._attention_sizes())
        gated(m, self.test_enable, "attention", attention, ("q", "k", "v"), g.heads)
        output_quantize = gated(
            m, self.test_enable, "output_quantize", Quantize(units.quantize("mix"), lanes, 2 * g.beats(g.query_width))
        )
        projected = self._product(m, "o", 1, g.hidden, output_quantize)
        v_quantize = gated(m, self.test_enable, "v_quantize", Quantize(units.quantize("value"), lanes, 2 * head))

        chain(m, heads["q"], *self._rotated(m, "q", units.attention.query, ends, spans), attention.q)
        chain(m, heads["k"], *self._rotated(m, "k", units.attention.key, ends, spans), attention.k)
        chain(m, heads["v"], *self._clipped_values(m), v_quantize, attention.v)
        for name in "qkv":
            wiring.connect(m, ends[name], getattr(attention, f"{name}_ends"))
        for name in "kv" if spans else "":
            wiring.connect(m, spans[name], getattr(attention, f"{name}_spans"))
        chain(m, attention, output_quantize)
        chain(m, projected, residual)
        add_probe(m, "v", v_quantize.o, g.head_dim, g.key_heads)
        add_probe(m, "attention.output", attention.o, g.query_width)
        add_probe(m, "o", projected.o, g.hidden)
        add_probe(m, "attention.residual", residual.o, g.hidden)
        return m

    def _attention_sizes(self) -> AttentionSizes:
        g, hardware = self.sizes, self.sizes.hardware
        at_once = {"head_lanes": hardware.head_lanes, "query_lanes": hardware.query_lanes, "passes": g.passes}
        at_once |= {"slots": g.slots}
        return AttentionSizes(g.units.attention, g.heads, g.lanes, g.max_positions, key_heads=g.key_heads, **at_once)

    def _projected(self, m: Module, normed) -> dict[str, Any]:
        """Heads of q, k and v made of the packets of `normed`: streams by name."""
        g, outside, found = self.sizes, wiring.flipped(self.wired), dict[str, Any]()
        kinds, packets = g.shape.attention.projections, [normed]
        if len(kinds) > 1:
            m.submodules.packet_branch = branch = Fork(normed.payload.shape(), len(kinds))
            chain(m, normed, branch)
            packets = [*branch.o]
        for packet, (kind, names) in zip(packets, kinds.items(), strict=True):
            rows = g.heads_of(names[0]) * g.head_dim
            vectors = self._product(m, kind, len(names), rows, packet)
            if g.shape.attention.bias:
                biases = getattr(outside, f"{kind}_bias")
                vectors = biased(m, self.test_enable, g, kind, len(names), rows, vectors, biases)
            heads = HeadSplit(g.units.word.width, g.lanes, g.beats(g.head_dim), len(names))
            m.submodules["heads" if len(kinds) == 1 else f"{kind}_heads"] = heads
            chain(m, vectors, heads)
            found |= dict(zip(names, heads.o, strict=True))
        return found

    def _product(self, m: Module, kind: str, banks: int, rows: int, packets) -> Component:
        """The arrays of a kind and their rescale, with their adapters where the chip has some: what gives vectors."""
        g, outside = self.sizes, wiring.flipped(self.wired)
        array, scales = getattr(outside, kind), getattr(outside, f"{kind}_scales")
        rescale = rescaled(m, self.test_enable, g, kind, banks, rows, array.o, scales)
        if kind not in g.adapters:
            chain(m, packets, array.i)
            return rescale
        made = g.activation(kind)
        unit = Adapter(AdapterSpec(g.units.word), made, g.adapters[kind])
        gated(m, self.test_enable, f"{kind}_adapter", unit, ("i", "y", "loads"))
        m.submodules[f"{kind}_packets"] = fork = Fork(activations(made, g.lanes), 2)
        chain(m, packets, fork)
        chain(m, fork.o[0], array.i)
        chain(m, fork.o[1], unit)
        wiring.connect(m, rescale.o, unit.y)
        loads, bits = self.adapter_loads, g.adapters[kind].address_bits
        first = [*g.adapters].index(kind) << array_bits(g.adapters) >> bits
        m.d.comb += [
            unit.enable.eq(self.adapter_enable),
            unit.loads.payload.address.eq(loads.payload.address),
            unit.loads.payload.data.eq(loads.payload.data),
            unit.loads.valid.eq(loads.valid & (loads.payload.address[bits:] == first)),
            loads.ready.eq(1),
        ]
        return unit

    def _clipped_values(self, m: Module) -> list[Component]:
        """What clips the values where the model does, to be chained; queries and keys are clipped in their `Rope`."""
        clip = self.sizes.units.clip
        return [] if clip is None else [gated(m, self.test_enable, "v_clip", Clip(clip, self.sizes.lanes))]

    def _spans(self, m: Module) -> dict[str, Any]:
        """What part of a sequence each pass computes, to each place that asks: streams by place."""
        if not self.sizes.slots:
            return {}
        m.submodules.spans = spans = Broadcast(self.spans.payload.shape(), len(SPANS), self.sizes.slots)
        wiring.connect(m, wiring.flipped(self.spans), spans.i)
        return dict(zip(SPANS, spans.o, strict=True))

    def _rotated(self, m: Module, name: str, made: QuantizeSpec, ends, spans) -> list[Component]:
        """Head norm, gain and rotation, packets as `made`: the chain that q and k each have.

        ends, spans: of passes, streams by place.
        """
        g, attention = self.sizes, self.sizes.shape.attention
        straight, normed = g.head_dim - attention.rotary_dim, attention.head_norms
        rope = Rope(g.units.rope, g.lanes, g.heads_of(name), g.max_positions, straight, normed, g.units.clip, g.slots)
        packets = Quantize(made, g.lanes, 2 * g.beats(g.head_dim))
        parts: list[Component] = []
        if normed:
            gains = getattr(wiring.flipped(self.wired), f"{name}_gain")
            parts.append(gated(m, self.test_enable, f"{name}_norm", RMSNorm(g.units.head_norm, g.lanes)))
            m.d.comb += [gains.index.eq(rope.index), rope.gains.eq(gains.data)]
        parts.append(gated(m, self.test_enable, f"{name}_rope", rope))
        parts.append(gated(m, self.test_enable, f"{name}_quantize", packets))
        wiring.connect(m, ends[f"{name}_rope"], rope.ends)
        if spans:
            wiring.connect(m, spans[f"{name}_rope"], rope.spans)
        add_probe(m, name, packets.o, g.head_dim, g.heads_of(name))
        return parts
