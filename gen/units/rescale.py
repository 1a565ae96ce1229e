"""Array accumulators to fixed-point vectors."""

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Skid, Stage, beat, chain, count_beats
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.rounding import Round, wide_beat
from hardloom.golden.units.rescale import Rescale as RescaleSpec

__all__ = ["Rescale", "row_scale"]


def row_scale(spec: RescaleSpec) -> data.StructLayout:
    """Constants of one row: `mant` unsigned, `shift` signed (minus the row's exponent)."""
    return data.StructLayout({"mant": unsigned(spec.mant_width), "shift": signed(spec.shift_width)})


class _Multiply(Stage):
    """acc * mant and shift - scale."""

    def __init__(self, spec: RescaleSpec, acc_width: int, scale_width: int, lanes: int) -> None:
        self.lanes = lanes
        rows = data.ArrayLayout(row_scale(spec), lanes)
        super().__init__(
            data.StructLayout({"beat": beat(acc_width, lanes, scale_width), "rows": rows}),
            wide_beat(acc_width + spec.mant_width, lanes, max(spec.shift_width, scale_width + 1) + 1),
        )

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.beat.last)
        for k in range(self.lanes):
            m.d.comb += [
                y.data[k].eq(x.beat.data[k] * x.rows[k].mant),
                y.shift[k].eq(x.rows[k].shift - x.beat.scale),
            ]


class Rescale(Component):
    """`golden.units.rescale.Rescale`: one packet of accumulators in, one of fixed-point words out.

    The row constants come from a ROM outside: `rows` must follow `index` in the same cycle.
    Latency 2 cycles, throughput 1 beat a cycle. No path leads from the `ready` behind it to the array's.

    Parameters
    ----------
    spec: specification.
    acc_width: bits of an accumulator, 1 to 51 (products stay below 2^60, as the specification asks).
    scale_width: bits of the scale of the array's input packet.
    lanes: elements a beat.
    beats: beats a packet.

    Attributes
    ----------
    i: stream of accumulator beats (`acc_width` bits) with the scale of the array's input packet, in.
    index: number of the beat within its packet, out.
    rows: constants of that beat's rows, in.
    o: stream of fixed-point beats (`spec.word.width` bits), out.
    """

    def __init__(self, spec: RescaleSpec, acc_width: int, scale_width: int, lanes: int, beats: int) -> None:
        if not 1 <= acc_width <= 51:
            raise ValueError(f"acc_width must be 1 to 51, not {acc_width}")
        self.spec, self.acc_width, self.scale_width, self.lanes = spec, acc_width, scale_width, lanes
        super().__init__(
            {
                "i": In(stream.Signature(beat(acc_width, lanes, scale_width))),
                "index": Out(index_width(beats)),
                "rows": In(data.ArrayLayout(row_scale(spec), lanes)),
                "o": Out(stream.Signature(beat(spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        word = self.spec.word
        m.submodules.multiply = multiply = _Multiply(self.spec, self.acc_width, self.scale_width, self.lanes)
        products = multiply.o.payload.shape()
        bounds = (1 - word.width, self.acc_width + self.spec.mant_width)
        m.submodules.round = rounding = Round(word, products, bounds)
        m.submodules.skid = skid = Skid(self.o.payload.shape())
        chain(m, multiply, rounding, skid, wiring.flipped(self.o))
        m.d.comb += [
            multiply.i.valid.eq(self.i.valid),
            multiply.i.payload.beat.eq(self.i.payload),
            multiply.i.payload.rows.eq(self.rows),
            self.i.ready.eq(multiply.i.ready),
        ]
        count_beats(m, self.i, self.index)
        return m
