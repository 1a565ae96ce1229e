"""What attention, router and head share: largest of a packet, exponentials below it."""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.fold import LanesDelay
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.table import TableLookup
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.table import LOG2E, Exp2

__all__ = ["EXP_WIDTH", "Exp2Lookup", "Largest", "Numerator", "exponent", "largest", "numerator_beat", "shifted"]

EXP_WIDTH = Exp2().out_frac + 1
"""Bits of an exponential and of a reciprocal: 0 to 65536."""


def exponent(spec: Exp2) -> data.StructLayout:
    """An exponential before it is shifted: `y` of 1 to 2, `shift` to the right."""
    return data.StructLayout({"y": EXP_WIDTH, "shift": range(spec.zero_from + 1)})


class Exp2Lookup(Component):
    """`Exp2.compute` but for its shift (`shifted`), combinational (latency 0).

    Parameters
    ----------
    spec: specification.
    width: bits of `d`, at least `spec.frac`.

    Attributes
    ----------
    d: unsigned, in.
    e: `exponent(spec)`, out.
    """

    def __init__(self, spec: Exp2, width: int) -> None:
        self.spec = spec
        super().__init__({"d": In(width), "e": Out(exponent(spec))})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.lookup = table = TableLookup("exp2", spec.table)
        whole = self.d[spec.frac :]
        m.d.comb += [
            table.x.eq(self.d[: spec.frac]),
            self.e.y.eq(table.y),
            self.e.shift.eq(Mux(whole > spec.zero_from, spec.zero_from, whole)),
        ]
        return m


def shifted(e) -> Value:
    """The exponential, `EXP_WIDTH` bits, of an `exponent`."""
    return round_shift(e.y, e.shift)


def largest(m: Module, values: list[tuple]) -> tuple:
    """(value, tag) of the largest value in `values`, [(signed value, tag)]: the first one of equals.

    A tree of comparisons, combinational.
    """
    while len(values) > 1:
        winners = []
        for (a, a_tag), (b, b_tag) in zip(values[::2], values[1::2], strict=False):
            later = Signal()
            m.d.comb += later.eq(b > a)
            winners.append((Mux(later, b, a), Mux(later, b_tag, a_tag)))
        values = winners + values[2 * len(winners) :]
    return values[0]


class Largest(LanesDelay):
    """Statistic of a packet of fixed-point beats: its largest element.

    Parameters
    ----------
    width, lanes: of a beat.
    count: elements of a packet; those past it in the last beat are padding.
    depth: beats of storage, two packets.
    """

    def __init__(self, width: int, lanes: int, count: int, depth: int) -> None:
        self.width, self.tail = width, (count - 1) % lanes + 1
        super().__init__(beat(width, lanes), signed(width), depth, lanes, -(1 << (width - 1)))

    def part(self, lanes: int) -> Shape:
        return signed(self.width)

    def values(self, x) -> list:
        return [x.data[k] if k < self.tail else Mux(x.last, self.neutral, x.data[k]) for k in range(self.lanes)]

    def merge(self, m: Module, some: list, y) -> None:
        m.d.comb += y.eq(largest(m, [(value, 0) for value in some])[0])


def numerator_beat(element: ShapeLike, lanes: int, carry: ShapeLike) -> data.StructLayout:
    """Elements on their way to exponentials: `data`, the packet's `carry`, `last`."""
    return data.StructLayout({"data": data.ArrayLayout(element, lanes), "carry": carry, "last": unsigned(1)})


class _Distance(Stage):
    """d = (top - x) * log2 e."""

    def __init__(self, spec: SoftmaxNumerator, i_shape: data.StructLayout, o_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.carry.eq(x.carry), y.last.eq(x.last)]
        for source, target in zip(x.data, y.data, strict=True):
            difference = Signal(self.spec.word.width)
            m.d.comb += [
                difference.eq(x.top - source),
                target.eq(round_shift(difference * LOG2E, self.spec.shift)),
            ]


class _Lookup(Stage):
    """2^-d, not yet shifted."""

    def __init__(self, spec: Exp2, i_shape: data.StructLayout, o_shape: data.StructLayout) -> None:
        self.spec = spec
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.carry.eq(x.carry), y.last.eq(x.last)]
        for k, (source, target) in enumerate(zip(x.data, y.data, strict=True)):
            m.submodules[f"exp2_{k}"] = lookup = Exp2Lookup(self.spec, len(source))
            m.d.comb += [lookup.d.eq(source), target.eq(lookup.e)]


class _Shift(Stage):
    """e = 2^-d."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.carry.eq(x.carry), y.last.eq(x.last)]
        m.d.comb += [target.eq(shifted(source)) for source, target in zip(x.data, y.data, strict=True)]


class Numerator(Component):
    """`golden.units.softmax.SoftmaxNumerator.below` on `lanes` elements a beat.

    Latency 3 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat.
    carry: shape of what travels along with each beat.

    Attributes
    ----------
    i: stream of {`data`: elements, `top`: the largest of the packet, `carry`, `last`}, in; elements and `top` are
        signed, `spec.word.width` bits.
    o: stream of {`data`: exponentials of `EXP_WIDTH` bits, `carry`, `last`}, out.
    """

    def __init__(self, spec: SoftmaxNumerator, lanes: int, carry: ShapeLike) -> None:
        self.spec, self.lanes, self.carry = spec, lanes, carry
        word = signed(spec.word.width)
        members = numerator_beat(word, lanes, carry).members
        i_shape = data.StructLayout({"top": word, **members})
        o_shape = numerator_beat(unsigned(EXP_WIDTH), lanes, carry)
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        spec = self.spec
        furthest = ((1 << spec.word.width) - 1) * LOG2E
        width = Shape.cast(range((furthest >> spec.shift) + 2)).width
        between = numerator_beat(unsigned(width), self.lanes, self.carry)
        m.submodules.distance = distance = _Distance(spec, self.i.payload.shape(), between)
        raw = numerator_beat(exponent(spec.exp2), self.lanes, self.carry)
        m.submodules.lookup = lookup = _Lookup(spec.exp2, between, raw)
        m.submodules.shift = shift = _Shift(raw, self.o.payload.shape())
        chain(m, wiring.flipped(self.i), distance, lookup, shift, wiring.flipped(self.o))
        return m
