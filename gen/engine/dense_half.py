"""The second half of a layer without experts."""

from amaranth.hdl import Module
from amaranth.lib import wiring

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.chains import half_ports, norm_gains, residual_way
from hardloom.gen.engine.network import network, network_ports
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import chain

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
        super().__init__(half_ports(sizes, self.modules))

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        _, residual, norm = residual_way(m, self, "post", g.hardware.queues.residual * g.beats(g.hidden))
        outside = wiring.flipped(self.wired)
        chain(m, network(m, self.test_enable, g, "dense", g.intermediate, norm[-1], outside), residual)
        add_probe(m, "residual", residual.o, g.hidden)
        return m
