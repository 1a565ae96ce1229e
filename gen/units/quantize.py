"""Fixed-point vector to activation packet."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import bit_length, magnitude, or_reduce
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import PacketDelay, Stage, activations, beat, chain
from hardloom.gen.units.rounding import round_shift
from hardloom.golden.units.quantize import Quantize as QuantizeSpec

__all__ = ["MaxBits", "Quantize"]


class MaxBits(PacketDelay):
    """Statistic of a packet of fixed-point beats: OR of all magnitudes (its bit length is that of the largest)."""

    def __init__(self, width: int, lanes: int, depth: int) -> None:
        self.lanes = lanes
        super().__init__(beat(width, lanes), width, depth)

    def fold(self, m: Module, stat, first, x, y) -> None:
        m.d.comb += y.eq(or_reduce([Mux(first, 0, stat)] + [magnitude(x.data[k]) for k in range(self.lanes)]))


class _Clip(Stage):
    """Shift and clip with the packet's scale."""

    def __init__(self, spec: QuantizeSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        super().__init__(i_shape, activations(spec, lanes))

    def transform(self, m: Module, x, y) -> None:
        bits = bit_length(m, x.stat)
        scale = Signal(self.spec.scale_width)
        keep = self.spec.width - 1
        m.d.comb += [scale.eq(Mux(bits > keep, bits - keep, 0)), y.scale.eq(scale), y.last.eq(x.beat.last)]
        limit = self.spec.limit
        for k in range(self.lanes):
            rounded = round_shift(x.beat.data[k], scale)
            m.d.comb += y.data[k].eq(Mux(rounded > limit, limit, Mux(rounded < -limit, -limit, rounded)))


class Quantize(Component):
    """`golden.units.quantize.Quantize`: one packet in, the same packet in fewer bits out.

    Latency: the packet's beats plus 4 cycles; throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat.
    depth: beats of storage, two packets.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.word.width` bits), in.
    o: stream of beats of `spec.width` bits with their scale, out.
    """

    def __init__(self, spec: QuantizeSpec, lanes: int, depth: int) -> None:
        self.spec, self.lanes, self.depth = spec, lanes, depth
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.word.width, lanes))),
                "o": Out(stream.Signature(activations(spec, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.delay = delay = MaxBits(self.spec.word.width, self.lanes, self.depth)
        m.submodules.clip = clip = _Clip(self.spec, delay.o.payload.shape(), self.lanes)
        chain(m, wiring.flipped(self.i), delay, clip, wiring.flipped(self.o))
        return m
