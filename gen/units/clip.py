"""Elements clamped between two bounds of equal size in hardware."""

from amaranth.hdl import Module, Mux

from hardloom.gen.stream.stream import Stage, beat
from hardloom.golden.units.clip import Clip as ClipSpec

__all__ = ["Clip"]


class Clip(Stage):
    """`golden.units.clip.Clip`, elementwise. Latency 1 cycle, throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat.

    Attributes
    ----------
    i, o: streams of fixed-point beats (`spec.word.width` bits), in and out.
    """

    def __init__(self, spec: ClipSpec, lanes: int) -> None:
        self.bound, self.lanes = spec.bound, lanes
        words = beat(spec.word.width, lanes)
        super().__init__(words, words)

    def transform(self, m: Module, x, y) -> None:
        bound = self.bound
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            element = x.data[k]
            m.d.comb += y.data[k].eq(Mux(element > bound, bound, Mux(element < -bound, -bound, element)))
