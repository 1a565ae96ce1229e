"""Token ids to fixed-point vectors."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import FULL_RATE, Queue
from hardloom.gen.stream.stream import residual_beat
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.rescale import Rescale, row_scale
from hardloom.golden.units.rescale import Rescale as RescaleSpec

__all__ = ["Embedding", "token_shape"]


def token_shape(vocab_size: int) -> data.StructLayout:
    """A `token` of a pass; `end` with its last one."""
    return data.StructLayout({"token": unsigned(index_width(vocab_size)), "end": unsigned(1)})


class Embedding(Component):
    """Row of the embedding matrix as a fixed-point packet: the row times its scale, rounded as in `rescale`.

    Weights and row scales come from ROMs outside: `weights` must follow `index` and `scale` must follow `row` in
    the same cycle. Latency 2 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification of the rescaling.
    weight_width: bits of an integer weight, sign included.
    vocab_size: rows.
    lanes: elements a beat.
    beats: beats a row.

    Attributes
    ----------
    i: stream of `token_shape(vocab_size)`, in.
    index: token * beats + beat number, out.
    weights: `lanes` signed weights, in.
    row: token, out.
    scale: the row's `mant` and `shift`, in.
    o: stream of `gen.stream.stream.residual_beat`, out.
    """

    def __init__(self, spec: RescaleSpec, weight_width: int, vocab_size: int, lanes: int, beats: int) -> None:
        self.spec, self.weight_width, self.lanes, self.beats = spec, weight_width, lanes, beats
        super().__init__(
            {
                "i": In(stream.Signature(token_shape(vocab_size))),
                "index": Out(index_width(vocab_size * beats)),
                "weights": In(data.ArrayLayout(signed(weight_width), lanes)),
                "row": Out(index_width(vocab_size)),
                "scale": In(row_scale(self.spec)),
                "o": Out(stream.Signature(residual_beat(self.spec.word.width, lanes))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.rescale = rescale = Rescale(
            self.spec, self.weight_width, self.spec.word.frac.bit_length(), self.lanes, self.beats
        )
        count = Signal(range(self.beats))
        last = count == self.beats - 1
        x = rescale.i.payload
        m.d.comb += [
            self.row.eq(self.i.payload.token),
            self.index.eq(self.i.payload.token * self.beats + count),
            rescale.i.valid.eq(self.i.valid),
            self.i.ready.eq(rescale.i.ready & last),
            x.data.eq(self.weights),
            x.scale.eq(self.spec.word.frac),
            x.last.eq(last),
        ]
        m.d.comb += [row.eq(self.scale) for row in rescale.rows]
        with m.If(rescale.i.valid & rescale.i.ready):
            m.d.sync += count.eq(Mux(last, 0, count + 1))
        self._end(m, rescale.o)
        return m

    def _end(self, m: Module, rescaled) -> None:
        """Ends of passes go past the rescaling in a queue, which holds more than that does."""
        m.submodules.ends = ends = Queue(unsigned(1), FULL_RATE)
        last = rescaled.payload.last
        m.d.comb += [
            self.o.payload.data.eq(rescaled.payload.data),
            self.o.payload.last.eq(last),
            ends.i.payload.eq(self.i.payload.end),
            ends.i.valid.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(rescaled.valid & (ends.o.valid | ~last)),
            rescaled.ready.eq(self.o.ready & (ends.o.valid | ~last)),
            self.o.payload.end.eq(last & ends.o.payload),
            ends.o.ready.eq(self.o.valid & self.o.ready & last),
        ]
