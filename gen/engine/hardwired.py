"""Amaranth faces of the connection modules: hardwired arrays and constant ROMs, written as Verilog elsewhere."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, ShapeLike, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import activations, beat
from hardloom.gen.text.constant_module import index_width
from hardloom.golden.units.quantize import Quantize

__all__ = ["ArrayPorts", "ConstantPorts", "HardwiredArray", "HardwiredConstants", "wired"]


class ArrayPorts(wiring.Signature):
    """The streams of a hardwired array.

    Parameters
    ----------
    activation, lanes, banks: as in its plan. width: bits of a sum.

    Attributes
    ----------
    i: stream of beats of `activation`, in.
    o: stream of beats of sums, bank 0's lanes first, `scale` that of the packet, out.
    """

    def __init__(self, activation: Quantize, lanes: int, banks: int, width: int) -> None:
        self.activation, self.lanes, self.sums, self.width = activation, lanes, banks * lanes, width
        sums = beat(width, banks * lanes, activation.scale_width)
        super().__init__({"i": In(stream.Signature(activations(activation, lanes))), "o": Out(stream.Signature(sums))})


class ConstantPorts(wiring.Signature):
    """The ports of a ROM of `depth` words. index: number of the word, in; data: the word, in the same cycle, out."""

    def __init__(self, depth: int, shape: ShapeLike) -> None:
        super().__init__({"index": In(index_width(depth)), "data": Out(shape)})


def wired(modules: dict[str, ArrayPorts | ConstantPorts]) -> wiring.Signature:
    """Arrays and ROMs, by name, that stand outside of a component and are connected to it, as they have their ports.

    clk: of all of them, in.
    """
    return wiring.Signature({"clk": In(1)} | {name: Out(ports) for name, ports in modules.items()})


class HardwiredArray(Component):
    """The array module `name` of `gen.arrays` as a stream unit.

    Attributes
    ----------
    test_enable: of its clock gates, in.
    i, o: as in `ports`.
    """

    def __init__(self, name: str, ports: ArrayPorts) -> None:
        self.name = name
        super().__init__({"test_enable": In(1), **ports.members})

    def elaborate(self, platform) -> Module:
        m = Module()
        i, o = self.i.payload, self.o.payload
        m.submodules.array = Instance(
            self.name,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_test_enable=self.test_enable,
            i_in_valid=self.i.valid,
            o_in_ready=self.i.ready,
            i_in_data=Value.cast(i.data),
            i_in_scale=i.scale,
            i_in_last=i.last,
            o_out_valid=self.o.valid,
            i_out_ready=self.o.ready,
            o_out_data=Value.cast(o.data),
            o_out_scale=o.scale,
            o_out_last=o.last,
        )
        return m


class HardwiredConstants(Component):
    """The constant module `name` of `gen.text.constant_module`, combinational.

    Attributes
    ----------
    index, data: as in `ports`.
    """

    def __init__(self, name: str, ports: ConstantPorts) -> None:
        self.name = name
        super().__init__(ports)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = Instance(self.name, i_index=self.index, o_data=Value.cast(self.data))
        return m
