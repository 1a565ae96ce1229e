"""The rounding and saturation of `golden.units.fixed` as combinational expressions."""

from amaranth.hdl import Module, Mux, Signal, Value, signed

from golden.units.fixed import FixedPoint

__all__ = ["bit_length", "magnitude", "or_reduce", "round_saturate", "round_shift", "saturate"]


def round_shift(x: Value, shift: Value | int) -> Value:
    """(x + 2^(shift-1)) >> shift for shift >= 1, x for 0; x of either sign, shift unsigned.

    One barrel shifter: floor(x * 2 / 2^shift), plus one, halved.
    """
    return (((x << 1) >> shift) + 1) >> 1


def saturate(x: Value, word: FixedPoint) -> Value:
    """x clamped to `word`, `word.width` bits signed."""
    if x.shape().signed and len(x) <= word.width:
        return x
    return Mux(x > word.max, word.max, Mux(x < word.min, word.min, x))[: word.width].as_signed()


def round_saturate(m: Module, x: Value, shift: Value, word: FixedPoint, lowest: int, highest: int) -> Value:
    """`FixedPoint.round` for a signed `shift`.

    `shift` is clamped to [lowest, highest]: choose them so that clamping changes no result (a left shift by
    `word.width` saturates all but 0, a right shift beyond the width of x gives 0 or less than half).
    Returns a signed Signal of `word.width` bits.
    """
    amount = Signal(range(highest - lowest + 1))
    m.d.comb += amount.eq(Mux(shift < lowest, 0, Mux(shift > highest, highest - lowest, shift - lowest)))
    wide = Signal(signed(len(x) + max(0, -lowest)))
    m.d.comb += wide.eq(x << max(0, -lowest))
    rounded = Signal(signed(len(wide) + 1))
    m.d.comb += rounded.eq(round_shift(wide, amount + max(0, lowest)))
    result = Signal(signed(word.width))
    m.d.comb += result.eq(saturate(rounded, word))
    return result


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
