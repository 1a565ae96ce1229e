"""silu(gate) * up in hardware."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.units.rounding import Round, round_shift, wide_beat
from hardloom.gen.units.sigmoid import SigmoidLookup
from hardloom.golden.units.swiglu import SwiGLU as SwiGLUSpec

__all__ = ["SwiGLU"]


class _Sigmoid(Stage):
    """Adds sigmoid(gate) to each pair."""

    def __init__(self, spec: SwiGLUSpec, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        width = spec.word.width
        lane = data.StructLayout({"gate": signed(width), "up": signed(width), "sigmoid": spec.sigmoid.frac + 1})
        o_shape = data.StructLayout({"data": data.ArrayLayout(lane, lanes), "last": 1})
        super().__init__(beat(width, 2 * lanes), o_shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            gate, up = x.data[k], x.data[self.lanes + k]
            m.submodules[f"sigmoid_{k}"] = sigmoid = SigmoidLookup(self.spec.sigmoid, self.spec.word.width)
            m.d.comb += [
                sigmoid.x.eq(gate),
                y.data[k].gate.eq(gate),
                y.data[k].up.eq(up),
                y.data[k].sigmoid.eq(sigmoid.y),
            ]


class _Silu(Stage):
    """round_shift(gate * sigmoid), which is no longer than the gate."""

    def __init__(self, spec: SwiGLUSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        width = spec.word.width
        lane = data.StructLayout({"silu": signed(width), "up": signed(width)})
        super().__init__(i_shape, data.StructLayout({"data": data.ArrayLayout(lane, lanes), "last": 1}))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            product = x.data[k].gate * x.data[k].sigmoid
            m.d.comb += [
                y.data[k].silu.eq(round_shift(product, self.spec.sigmoid.frac)),
                y.data[k].up.eq(x.data[k].up),
            ]


class _Multiply(Stage):
    """silu * up."""

    def __init__(self, spec: SwiGLUSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(i_shape, wide_beat(2 * spec.word.width, lanes))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        m.d.comb += [y.data[k].eq(x.data[k].silu * x.data[k].up) for k in range(self.lanes)]


class SwiGLU(Component):
    """`golden.units.swiglu.SwiGLU`, elementwise. Latency 4 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: results a beat.

    Attributes
    ----------
    i: stream of fixed-point beats of `lanes` gates, then `lanes` ups, in.
    o: stream of fixed-point beats of `lanes` results, out.
    """

    def __init__(self, spec: SwiGLUSpec, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.word.width, 2 * lanes))),
                "o": Out(stream.Signature(beat(spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, lanes = self.spec, self.lanes
        m.submodules.sigmoid = sigmoid = _Sigmoid(spec, lanes)
        m.submodules.silu = silu = _Silu(spec, sigmoid.o.payload.shape(), lanes)
        m.submodules.multiply = multiply = _Multiply(spec, silu.o.payload.shape(), lanes)
        m.submodules.round = rounding = Round(spec.word, multiply.o.payload.shape(), spec.word.frac)
        chain(m, wiring.flipped(self.i), sigmoid, silu, multiply, rounding, wiring.flipped(self.o))
        return m
