"""Amaranth faces of the connection modules: hardwired arrays and constant ROMs, written as Verilog elsewhere."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import activations, beat
from gen.text.constant_module import index_width
from golden.units.quantize import Quantize

__all__ = ["HardwiredArray", "HardwiredConstants"]


class HardwiredArray(Component):
    """The array module `name` of `gen.arrays` as a stream unit.

    Parameters
    ----------
    name: Verilog module. activation, lanes, banks, acc_width: as in its plan.
    width: bits of an element of `o`, at least acc_width (default); sums are sign-extended to it.

    Attributes
    ----------
    test_enable: of its clock gates, in.
    i: stream of beats of `activation`, in.
    o: stream of accumulator beats, bank 0's lanes first, `scale` that of the packet, out.
    """

    def __init__(
        self, name: str, activation: Quantize, lanes: int, banks: int, acc_width: int, width: int | None = None
    ) -> None:
        self.name, self.acc_width, width = name, acc_width, width or acc_width
        super().__init__(
            {
                "test_enable": In(1),
                "i": In(stream.Signature(activations(activation, lanes))),
                "o": Out(stream.Signature(beat(width, banks * lanes, activation.scale_width))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        i, o = self.i.payload, self.o.payload
        sums = Signal(data.ArrayLayout(signed(self.acc_width), len(o.data)))
        m.d.comb += [o.data[k].eq(sums[k]) for k in range(len(o.data))]
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
            o_out_data=Value.cast(sums),
            o_out_scale=o.scale,
            o_out_last=o.last,
        )
        return m


class HardwiredConstants(Component):
    """The constant module `name` of `gen.text.constant_module`, combinational.

    Attributes
    ----------
    index: word number, in; data: the word, out.
    """

    def __init__(self, name: str, depth: int, shape: ShapeLike) -> None:
        self.name = name
        super().__init__({"index": In(index_width(depth)), "data": Out(shape)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rom = Instance(self.name, i_index=self.index, o_data=Value.cast(self.data))
        return m
