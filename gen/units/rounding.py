"""The last step of most units: exact wide results to fixed-point beats."""

from amaranth.hdl import Const, Module, Shape, signed, unsigned
from amaranth.lib import data

from gen.stream.arith import round_saturate
from gen.stream.stream import Stage, beat
from golden.units.fixed import FixedPoint

__all__ = ["Round", "wide_beat"]


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
    """`FixedPoint.round` of every lane: `wide_beat` to `beat` with scale 0. Latency 1 cycle, 1 beat a cycle.

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
        m.d.comb += [y.scale.eq(0), y.last.eq(x.last)]
        for k in range(self.lanes):
            shift = Const(self.bounds[0], Shape.cast(signed(8))) if self.constant else x.shift[k]
            m.d.comb += y.data[k].eq(round_saturate(m, x.data[k], shift, self.word, *self.bounds))
