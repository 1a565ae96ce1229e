"""Which positions the head meets: those whose logits the sampler will look at."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.queue import Queue
from hardloom.gen.stream.stream import beat, chain, residual_beat

__all__ = ["HeadGate", "PositionBefore"]


IN_HEAD = 16
"""Packets from here to the argmax, at most: norm, quantizer and array hold two each, and stages between them few."""


class PositionBefore(Component):
    """Where logits predict the next position: what is said of a position, said of the one before it.

    The first position of a pass has none before it and is never wanted, for prompts have a token; of the last one
    nothing is wanted. Latency 0, throughput a bit a cycle, and one more at a pass's end.

    Attributes
    ----------
    i: stream of {`wanted`, `end`}, one a position, `end` with a pass's last, in.
    o: stream of one bit a position, out.
    """

    def __init__(self) -> None:
        told = data.StructLayout({"wanted": unsigned(1), "end": unsigned(1)})
        super().__init__({"i": In(stream.Signature(told)), "o": Out(stream.Signature(unsigned(1)))})

    def elaborate(self, platform) -> Module:
        m = Module()
        first, closing = Signal(init=1), Signal()
        m.d.comb += [
            self.o.valid.eq(closing | (self.i.valid & ~first)),
            self.o.payload.eq(self.i.payload.wanted & ~closing),
            self.i.ready.eq(~closing & (first | self.o.ready)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [first.eq(self.i.payload.end), closing.eq(self.i.payload.end)]
        with m.If(closing & self.o.ready):
            m.d.sync += closing.eq(0)
        return m


class HeadGate(Component):
    """Lets the packets of wanted positions through from the last layer to the head; of others nothing is left.

    Latency 0, throughput 1 beat a cycle.

    Parameters
    ----------
    width, lanes: of a beat.
    manner: `gen.units.manner.told_manner`.
    coming: positions of which it may be told before they come; passed: that it may be told of before their results are.

    Attributes
    ----------
    wanted: stream of one bit a position, in the order of the packets, in: whether it is.
    manners: stream of `manner`, one a pass, in; manner: one a packet that passes, with its last beat, out. A manner's
        `position`, where it has one, is that of the pass's first packet, and the packet's own.
    i: stream of `gen.stream.stream.residual_beat`, in.
    o: stream of fixed-point beats, out.
    passed: the bits of `wanted`, each once its packet's last beat has come, out.
    """

    def __init__(self, width: int, lanes: int, coming: int, passed: int, manner: data.StructLayout) -> None:
        self.coming, self.held = coming, passed
        bits = stream.Signature(unsigned(1))
        super().__init__(
            {
                "wanted": In(bits),
                "i": In(stream.Signature(residual_beat(width, lanes))),
                "o": Out(stream.Signature(beat(width, lanes))),
                "passed": Out(bits),
                "manners": In(stream.Signature(manner)),
                "manner": Out(stream.Signature(manner)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.coming = coming = Queue(unsigned(1), self.coming)
        m.submodules.gone = gone = Queue(unsigned(1), self.held)
        m.submodules.known = known = Queue(self.manner.payload.shape(), IN_HEAD)
        chain(m, wiring.flipped(self.wanted), coming)
        chain(m, gone, wiring.flipped(self.passed))
        chain(m, known, wiring.flipped(self.manner))
        through, last, taken = coming.o.payload, self.i.payload.last, Signal()
        told = self.i.valid & coming.o.valid & self.manners.valid & ((gone.i.ready & known.i.ready) | ~last)
        m.d.comb += [
            taken.eq(told & (self.o.ready | ~through)),
            self.i.ready.eq(taken),
            self.o.valid.eq(told & through),
            self.o.payload.data.eq(self.i.payload.data),
            self.o.payload.last.eq(last),
            coming.o.ready.eq(taken & last),
            gone.i.payload.eq(through),
            gone.i.valid.eq(taken & last),
            known.i.valid.eq(taken & last & through),
            self.manners.ready.eq(taken & last & self.i.payload.end),
        ]
        m.d.comb += known.i.payload.eq(self.manners.payload)
        if "position" in self.manners.payload.shape().members:
            since = Signal.like(self.manners.payload.position, name="since_first")
            m.d.comb += known.i.payload.position.eq(self.manners.payload.position + since)
            with m.If(taken & last):
                m.d.sync += since.eq(Mux(self.i.payload.end, 0, since + 1))
        add_probe(m, "wanted", gone.i, 1, value=gone.i.payload)
        return m
