"""The rounding rule (`golden.units.rounding`) in hardware, and the last step of most units: wide results to beats."""

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data

from hardloom.gen.stream.arith import saturate
from hardloom.gen.stream.stream import Stage, beat
from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Round", "round_saturate", "round_shift", "wide_beat"]


def round_shift(x: Value, shift: Value | int) -> Value:
    """(x + 2^(shift-1)) >> shift for shift >= 1, x for 0; x of either sign, shift unsigned.

    One barrel shifter: floor(x * 2 / 2^shift), plus one, halved.
    """
    return (((x << 1) >> shift) + 1) >> 1


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


def wide_beat(width: int, lanes: int, shift_width: int = 0) -> data.StructLayout:
    """Payload before rounding.

    `data`: `lanes` signed exact results of `width` bits; `shift`: `lanes` signed right shifts of `shift_width`
    bits (0: none, the shift is a constant); `last`: as in `gen.stream.stream.beat`.
    """
    shifts = signed(shift_width) if shift_width else unsigned(0)
    return data.StructLayout(
        {
            "data": data.ArrayLayout(signed(width), lanes),
            "shift": data.ArrayLayout(shifts, lanes),
            "last": unsigned(1),
        }
    )


class Round(Stage):
    """`FixedPoint.round` of every lane: `wide_beat` to `beat`. Latency 1 cycle, 1 beat a cycle.

    Parameters
    ----------
    word: fixed-point word of the result.
    i_shape: a `wide_beat`.
    shift: constant right shift, or (lowest, highest) of the shifts that matter (see `round_saturate`).
    """

    def __init__(self, word: FixedPoint, i_shape: data.StructLayout, shift: int | tuple[int, int]) -> None:
        self.word, self.lanes = word, i_shape["data"].shape.length
        self.constant = isinstance(shift, int)
        self.bounds = (shift, shift) if isinstance(shift, int) else shift
        super().__init__(i_shape, beat(word.width, self.lanes))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            shift = Const(self.bounds[0], Shape.cast(signed(8))) if self.constant else x.shift[k]
            m.d.comb += y.data[k].eq(round_saturate(m, x.data[k], shift, self.word, *self.bounds))
