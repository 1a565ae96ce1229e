"""Words of `golden.units.fixed` as combinational expressions."""

from amaranth.hdl import Module, Mux, Signal, Value

from hardloom.golden.units.fixed import FixedPoint

__all__ = ["bit_length", "magnitude", "or_reduce", "saturate"]


def saturate(x: Value, word: FixedPoint) -> Value:
    """x clamped to `word`, `word.width` bits signed."""
    if x.shape().signed and len(x) <= word.width:
        return x
    return Mux(x > word.max, word.max, Mux(x < word.min, word.min, x))[: word.width].as_signed()


def magnitude(x: Value) -> Value:
    """|x| of a signed value, unsigned, as many bits as x."""
    return Mux(x < 0, -x, x)[: len(x)]


def or_reduce(values: list[Value]) -> Value:
    """Bitwise OR of all values."""
    result = values[0]
    for value in values[1:]:
        result = result | value
    return result


def bit_length(m: Module, x: Value) -> Signal:
    """Bits of unsigned x, 0 for 0."""
    result = Signal(range(len(x) + 1))
    for i in range(len(x)):
        with m.If(x[i]):
            m.d.comb += result.eq(i + 1)
    return result
