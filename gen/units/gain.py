"""A vector times constants, an element each: the gain of a norm behind it."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, beat, chain, count_beats
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.rounding import Round, wide_beat
from hardloom.golden.units.gain import Gain as GainSpec

__all__ = ["Gain"]


class _Multiply(Stage):
    """x * gain."""

    def __init__(self, spec: GainSpec, lanes: int) -> None:
        self.lanes = lanes
        gains = data.ArrayLayout(signed(spec.width), lanes)
        super().__init__(
            data.StructLayout({"beat": beat(spec.word.width, lanes), "gains": gains}),
            wide_beat(spec.word.width + spec.width, lanes),
        )

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.beat.last)
        m.d.comb += [y.data[k].eq(x.beat.data[k] * x.gains[k]) for k in range(self.lanes)]


class Gain(Component):
    """`golden.units.gain.Gain`: one fixed-point packet in, the same packet times its gains out.

    The gains come from a ROM outside: `gains` must follow `index` in the same cycle. Latency 2 cycles, throughput 1
    beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat.
    beats: beats a packet.

    Attributes
    ----------
    i, o: streams of fixed-point beats (`spec.word.width` bits), in and out.
    index: number of the beat within its packet, out.
    gains: `lanes` gains of that beat, signed, `spec.width` bits, in.
    """

    def __init__(self, spec: GainSpec, lanes: int, beats: int) -> None:
        self.spec, self.lanes = spec, lanes
        signature = stream.Signature(beat(spec.word.width, lanes))
        gains = data.ArrayLayout(signed(spec.width), lanes)
        super().__init__(
            {"i": In(signature), "index": Out(index_width(beats)), "gains": In(gains), "o": Out(signature)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.multiply = multiply = _Multiply(spec, self.lanes)
        m.submodules.round = rounding = Round(spec.word, multiply.o.payload.shape(), spec.frac)
        chain(m, multiply, rounding, wiring.flipped(self.o))
        m.d.comb += [
            multiply.i.valid.eq(self.i.valid),
            multiply.i.payload.beat.eq(self.i.payload),
            multiply.i.payload.gains.eq(self.gains),
            self.i.ready.eq(multiply.i.ready),
        ]
        count_beats(m, self.i, self.index)
        return m
