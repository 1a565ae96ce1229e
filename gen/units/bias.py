"""A vector plus constants, an element each: the bias of a projection."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import saturate
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, beat, count_beats
from hardloom.gen.text.constant_module import index_width
from hardloom.golden.units.bias import Bias as BiasSpec

__all__ = ["Bias"]


class _Add(Stage):
    """sat(x + bias)."""

    def __init__(self, spec: BiasSpec, lanes: int) -> None:
        self.word, self.lanes = spec.word, lanes
        words = beat(spec.word.width, lanes)
        biases = data.ArrayLayout(signed(spec.word.width), lanes)
        super().__init__(data.StructLayout({"beat": words, "biases": biases}), words)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.beat.last)
        for k in range(self.lanes):
            total = Signal(signed(self.word.width + 1), name=f"total_{k}")
            m.d.comb += [total.eq(x.beat.data[k] + x.biases[k]), y.data[k].eq(saturate(total, self.word))]


class Bias(Component):
    """`golden.units.bias.Bias`: one fixed-point packet in, the same packet plus its biases out.

    The biases come from a ROM outside: `biases` must follow `index` in the same cycle. Latency 1 cycle, throughput 1
    beat a cycle.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat.
    beats: beats a packet.

    Attributes
    ----------
    i, o: streams of fixed-point beats (`spec.word.width` bits), in and out.
    index: number of the beat within its packet, out.
    biases: `lanes` biases of that beat, signed, `spec.word.width` bits, in.
    """

    def __init__(self, spec: BiasSpec, lanes: int, beats: int) -> None:
        self.spec, self.lanes = spec, lanes
        signature = stream.Signature(beat(spec.word.width, lanes))
        biases = data.ArrayLayout(signed(spec.word.width), lanes)
        super().__init__(
            {"i": In(signature), "index": Out(index_width(beats)), "biases": In(biases), "o": Out(signature)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.add = add = _Add(self.spec, self.lanes)
        wiring.connect(m, add.o, wiring.flipped(self.o))
        m.d.comb += [
            add.i.valid.eq(self.i.valid),
            add.i.payload.beat.eq(self.i.payload),
            add.i.payload.biases.eq(self.biases),
            self.i.ready.eq(add.i.ready),
        ]
        count_beats(m, self.i, self.index)
        return m
