"""Words of `golden.units.fixed` as combinational expressions."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.hdl._ast import Assign

from hardloom.golden.units.fixed import FixedPoint

__all__ = ["bit_length", "each", "magnitude", "or_reduce", "saturate"]


def saturate(x: Value, word: FixedPoint) -> Value:
    """x clamped to `word`, `word.width` bits signed."""
    if x.shape().signed and len(x) <= word.width:
        return x
    return Mux(x > word.max, word.max, Mux(x < word.min, word.min, x))[: word.width].as_signed()


def each(targets: Iterable[ValueLike], values: Iterable[ValueLike]) -> Assign:
    """Each of `targets` gets the value beside it, by one statement.

    For every statement Amaranth looks at all bits of a signal that it drives a part of: element by element, a vector
    would take time with the square of its length. Raises ValueError where there are more of one than of the other.
    """
    pairs = [(Value.cast(target), Value.cast(value)) for target, value in zip(targets, values, strict=True)]
    fitted = [value if len(value) == len(target) else _fitted(value, len(target)) for target, value in pairs]
    return Cat(target for target, _ in pairs).eq(Cat(fitted))


def _fitted(value: Value, width: int) -> Value:
    """The value in `width` bits, as an assignment has it."""
    if width <= len(value):
        return value[:width]
    sign = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, sign.replicate(width - len(value)))


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
