"""A SwiGLU network that serves every token: that of a layer without experts, or the expert that all tokens share."""

from amaranth.hdl import Module

from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.chains import array_ports, hidden_packets, rescaled, scale_ports
from hardloom.gen.engine.hardwired import ArrayPorts, ConstantPorts
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import chain
from hardloom.gen.units.rescale import Rescale

__all__ = ["network", "network_ports"]


def network_ports(sizes: LayerSizes, name: str, width: int) -> dict[str, ArrayPorts | ConstantPorts]:
    """Arrays and ROMs of network `name`, `width` elements between gate and down."""
    return {
        f"{name}_gate_up": array_ports(sizes, f"{name}_gate_up", 2),
        f"{name}_gate_up_scales": scale_ports(sizes, 2, width),
        f"{name}_down": array_ports(sizes, f"{name}_down", 1),
        f"{name}_down_scales": scale_ports(sizes, 1, sizes.hidden),
    }


def network(m: Module, test_enable, sizes: LayerSizes, name: str, width: int, packets, outside) -> Rescale:
    """Network `name` from a stream of packets on: its last unit, whose results are fixed-point packets.

    test_enable: of its clock gates. outside: what `network_ports` names, connected here.
    """
    g = sizes

    def behind(kind: str, banks: int, rows: int) -> Rescale:
        array, scales = (getattr(outside, f"{name}_{kind}{part}") for part in ("", "_scales"))
        return rescaled(m, test_enable, g, f"{name}_{kind}", banks, rows, array.o, scales)

    gate_up, down = behind("gate_up", 2, width), behind("down", 1, g.hidden)
    hidden = hidden_packets(m, test_enable, g, width, f"{name}_")
    chain(m, packets, getattr(outside, f"{name}_gate_up").i)
    chain(m, gate_up, *hidden, getattr(outside, f"{name}_down").i)
    add_probe(m, f"{name}.gate_up", gate_up.o, width, banks=2, net=f"{name}_gate_up")
    add_probe(m, f"{name}.down", down.o, g.hidden, net=f"{name}_down")
    return down
