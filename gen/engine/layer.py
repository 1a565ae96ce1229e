# amaranth: UnusedElaboratable=no
"""The layer engine: one transformer layer from residual stream to residual stream, but for arrays and constants."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.attention_half import AttentionHalf
from hardloom.gen.engine.chains import adapter_ports, residual_ports, span_ports
from hardloom.gen.engine.dense_half import DenseHalf
from hardloom.gen.engine.expert_half import ExpertHalf
from hardloom.gen.engine.hardwired import wired
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.stream import chain
from hardloom.golden.shape import ExpertsShape

__all__ = ["LayerEngine"]


class LayerEngine(Component):
    """One layer: attention half, expert or dense half, each on a clock that stops while it holds no token.

    Layers of the same sizes are one module; what tells them apart, arrays and ROMs, stands around it
    (`gen.engine.netlist`).

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    spans: stream of `gen.units.span.span_shape`, one a pass ahead of its first position, in; only where keys and values
        are kept.
    adapter_loads, adapter_enable: as `adapter_ports` has them.
    attention, and experts or dense: arrays and ROMs of each of the `halves`, and their clock.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        experts = isinstance(sizes.shape.mlp, ExpertsShape)
        mlp: dict[str, Component] = {"experts": ExpertHalf(sizes)} if experts else {"dense": DenseHalf(sizes)}
        self.halves: dict[str, Any] = {"attention": AttentionHalf(sizes), **mlp}
        ports = {name: In(wired(half.modules)) for name, half in self.halves.items()}
        super().__init__(residual_ports(sizes, 2) | span_ports(sizes) | adapter_ports(sizes) | ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        streams = {name: port for name, port in self._told().items() if port.is_signature}
        inputs = {"attention": ("i", *streams)}
        attention, mlp = (
            gated(m, self.test_enable, name, half, inputs.get(name, ("i",))) for name, half in self.halves.items()
        )
        for name, half in self.halves.items():
            m.d.comb += half.test_enable.eq(self.test_enable)
            wiring.connect(m, half.wired, wiring.flipped(getattr(self, name)))
        m.d.sync += self.saturated.eq(attention.saturated + mlp.saturated)  # a beat is added where the clock runs
        for port in streams:
            wiring.connect(m, wiring.flipped(getattr(self, port)), getattr(attention, port))
        for port in self._told().keys() - streams:
            m.d.comb += getattr(attention, port).eq(getattr(self, port))
        chain(m, wiring.flipped(self.i), attention, mlp, wiring.flipped(self.o))
        return m

    def _told(self) -> dict[str, wiring.Member]:
        """Ports of the attention half that the layer has too."""
        return span_ports(self.sizes) | adapter_ports(self.sizes)
