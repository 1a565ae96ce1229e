"""The second half of a layer without experts."""

from amaranth.hdl import ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from gen.design.layer_sizes import LayerSizes
from gen.engine.chains import norm_gains, norm_to_packets, residual_ports
from gen.engine.hardwired import wired
from gen.engine.network import network, network_ports
from gen.stream.component import Component
from gen.stream.probe import add_probe
from gen.stream.stream import chain, connect_vectors
from gen.units.flow import Fork
from gen.units.residual import Residual

__all__ = ["DenseHalf"]


class DenseHalf(Component):
    """Norm, a SwiGLU network for every token, residual add.

    Attributes
    ----------
    test_enable: of the clock gates, in.
    i, o: streams of `gen.stream.stream.residual_beat`, a packet a position, in and out.
    wired: `modules`, arrays and ROMs by name, and their clock.
    """

    def __init__(self, sizes: LayerSizes) -> None:
        self.sizes = sizes
        self.modules = norm_gains(sizes, "post") | network_ports(sizes, "dense", sizes.intermediate)
        super().__init__(residual_ports(sizes, 1) | {"wired": In(wired(self.modules))})

    def elaborate(self, platform) -> Module:
        m, g, outside = Module(), self.sizes, wiring.flipped(self.wired)
        depth = g.hardware.queues.residual * g.beats(g.hidden)
        m.submodules.branch = fork = Fork(self.i.payload.shape(), 2)
        m.submodules.residual = residual = Residual(g.units.word, g.lanes, depth)
        norm = norm_to_packets(m, self.test_enable, g, "post", getattr(outside, "post_gain", None))
        wiring.connect(m, wiring.flipped(self.i), fork.i)
        wiring.connect(m, fork.o[0], residual.x)
        connect_vectors(m, fork.o[1], norm[0].i)
        chain(m, *norm)
        down = network(m, self.test_enable, g, "dense", g.intermediate, norm[-1], outside)
        chain(m, down, residual, wiring.flipped(self.o))
        m.d.comb += [self.saturated.eq(residual.saturated), outside.clk.eq(ClockSignal())]
        add_probe(m, "post_norm", norm[-1].o, g.hidden)
        add_probe(m, "residual", residual.o, g.hidden)
        return m
