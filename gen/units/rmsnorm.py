"""RMSNorm in hardware: two passes over a packet, one for its size and one for its sum of squares."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import bit_length
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.fold import LanesDelay
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.units.quantize import MaxBits
from hardloom.gen.units.rounding import Round, round_shift, wide_beat
from hardloom.gen.units.table import TableLookup
from hardloom.golden.units.rmsnorm import RMSNorm as RMSNormSpec

__all__ = ["RMSNorm"]


class _Widths:
    """Widths and layouts between the unit's stages."""

    def __init__(self, spec: RMSNormSpec, lanes: int) -> None:
        limit = (1 << (spec.mantissa_width - 1)) - 1
        self.limit = limit
        self.shift = spec.word.width.bit_length()
        self.squares = (spec.count * limit**2).bit_length()
        self.total = (spec.count * limit**2 + spec.eps_sum).bit_length()
        self.half = ((self.total + 1) >> 1).bit_length()
        self.mantissas = data.StructLayout(
            {"data": data.ArrayLayout(signed(spec.mantissa_width), lanes), "shift": self.shift, "last": 1}
        )

    def with_statistic(self, **statistic: int) -> data.StructLayout:
        """`data` and `last` of a mantissa beat, with the packet's statistics in unsigned fields."""
        members = self.mantissas.members
        return data.StructLayout({"data": members["data"], "last": members["last"], **statistic})


class _Mantissas(Stage):
    """Brings a packet to `mantissa_width` bits by one shift."""

    def __init__(self, spec: RMSNormSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec, self.lanes, self.widths = spec, lanes, _Widths(spec, lanes)
        super().__init__(i_shape, self.widths.mantissas)

    def transform(self, m: Module, x, y) -> None:
        bits, keep, limit = bit_length(m, x.stat), self.spec.mantissa_width - 1, self.widths.limit
        shift = Signal(self.widths.shift)
        m.d.comb += [shift.eq(Mux(bits > keep, bits - keep, 0)), y.shift.eq(shift), y.last.eq(x.beat.last)]
        for k in range(self.lanes):
            rounded = Signal(signed(self.spec.word.width + 1))
            m.d.comb += [
                rounded.eq(round_shift(x.beat.data[k], shift)),
                y.data[k].eq(Mux(rounded > limit, limit, Mux(rounded < -limit, -limit, rounded))),
            ]


class _Squares(LanesDelay):
    """Statistic: exact sum of squares of the mantissas."""

    def __init__(self, spec: RMSNormSpec, lanes: int, depth: int) -> None:
        self.widths = _Widths(spec, lanes)
        super().__init__(self.widths.mantissas, unsigned(self.widths.squares), depth, lanes)

    def part(self, lanes: int) -> Shape:
        return unsigned((lanes * self.widths.limit**2).bit_length())

    def values(self, x) -> list:
        return [x.data[k] * x.data[k] for k in range(self.lanes)]

    def merge(self, m: Module, some: list, y) -> None:
        m.d.comb += y.eq(sum(some[1:], some[0]))


class _Total(Stage):
    """Adds eps, at the packet's shift; gives `half`, half the sum's bits."""

    def __init__(self, spec: RMSNormSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec, self.widths = spec, _Widths(spec, lanes)
        super().__init__(i_shape, self.widths.with_statistic(total=self.widths.total, half=self.widths.half))

    def transform(self, m: Module, x, y) -> None:
        eps = Signal(self.widths.total)
        sum_of_squares = Signal(self.widths.total)
        m.d.comb += [
            eps.eq(self.spec.eps_sum),
            sum_of_squares.eq(x.stat + (eps >> (x.beat.shift << 1))),
            y.total.eq(Mux(sum_of_squares == 0, 1, sum_of_squares)),
            y.data.eq(x.beat.data),
            y.last.eq(x.beat.last),
        ]
        m.d.comb += y.half.eq((bit_length(m, y.total) + 1) >> 1)


class _Normalise(Stage):
    """The sum as a 16-bit mantissa in [2^14, 2^16): its table index."""

    def __init__(self, spec: RMSNormSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.widths = _Widths(spec, lanes)
        table = spec.rsqrt.table
        self.index_width = table.index_bits + table.fraction_bits
        super().__init__(i_shape, self.widths.with_statistic(x=self.index_width, half=self.widths.half))

    def transform(self, m: Module, x, y) -> None:
        wide = x.total << self.index_width
        m.d.comb += [y.x.eq(wide >> (x.half << 1)), y.half.eq(x.half), y.data.eq(x.data), y.last.eq(x.last)]


class _Rsqrt(Stage):
    """Looks the table up."""

    def __init__(self, spec: RMSNormSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec = spec
        widths = _Widths(spec, lanes)
        super().__init__(i_shape, widths.with_statistic(r=max(spec.rsqrt.table.points).bit_length(), half=widths.half))

    def transform(self, m: Module, x, y) -> None:
        m.submodules.lookup = table = TableLookup("rsqrt", self.spec.rsqrt.table)
        m.d.comb += [table.x.eq(x.x), y.r.eq(table.y), y.half.eq(x.half), y.data.eq(x.data), y.last.eq(x.last)]


class _Multiply(Stage):
    """mantissa * r, and the shift that brings the result to the word."""

    def __init__(self, spec: RMSNormSpec, i_shape: data.StructLayout, lanes: int) -> None:
        self.spec, self.lanes = spec, lanes
        widths = _Widths(spec, lanes)
        lowest, highest = 1 - spec.left, ((widths.total + 1) >> 1) - spec.left
        self.bounds = (lowest, highest)
        shift_width = max(abs(lowest), abs(highest)).bit_length() + 1
        r_width = i_shape["r"].width
        super().__init__(i_shape, wide_beat(spec.mantissa_width + r_width, lanes, shift_width))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            m.d.comb += [y.data[k].eq(x.data[k] * x.r), y.shift[k].eq(x.half - self.spec.left)]


class RMSNorm(Component):
    """`golden.units.rmsnorm.RMSNorm`: one fixed-point packet in, the same packet normalised out.

    Latency: `gen.design.latency.rms_norm`; throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification; packets have `spec.count` elements.
    lanes: elements a beat, a divisor of `spec.count`.
    depth: beats of storage of each of the two passes, by default two packets and no less than 4.

    Attributes
    ----------
    i, o: streams of fixed-point beats (`spec.word.width` bits), in and out.
    """

    def __init__(self, spec: RMSNormSpec, lanes: int, depth: int | None = None) -> None:
        if spec.count % lanes:
            raise ValueError(f"lanes must divide the {spec.count} elements of a packet, {lanes} does not")
        self.spec, self.lanes = spec, lanes
        self.depth = max(4, 2 * spec.count // lanes) if depth is None else depth
        signature = stream.Signature(beat(spec.word.width, lanes))
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, lanes = self.spec, self.lanes
        m.submodules.size = size = MaxBits(spec.word.width, lanes, self.depth)
        m.submodules.mantissas = mantissas = _Mantissas(spec, size.o.payload.shape(), lanes)
        m.submodules.squares = squares = _Squares(spec, lanes, self.depth)
        m.submodules.total = total = _Total(spec, squares.o.payload.shape(), lanes)
        m.submodules.normalise = normalise = _Normalise(spec, total.o.payload.shape(), lanes)
        m.submodules.rsqrt = rsqrt = _Rsqrt(spec, normalise.o.payload.shape(), lanes)
        m.submodules.multiply = multiply = _Multiply(spec, rsqrt.o.payload.shape(), lanes)
        m.submodules.round = rounding = Round(spec.word, multiply.o.payload.shape(), multiply.bounds)
        parts = (size, mantissas, squares, total, normalise, rsqrt, multiply, rounding)
        chain(m, wiring.flipped(self.i), *parts, wiring.flipped(self.o))
        return m
