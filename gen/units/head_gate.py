"""Which positions the head meets: those whose logits the sampler will look at."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.probe import add_probe
from gen.stream.queue import Queue
from gen.stream.stream import beat, chain, residual_beat

__all__ = ["HeadGate"]


class HeadGate(Component):
    """Lets the packets of wanted positions through from the last layer to the head; of others nothing is left.

    Latency 0, throughput 1 beat a cycle.

    Parameters
    ----------
    width, lanes: of a beat.
    coming: positions of which it may be told before they come; passed: that it may be told of before their results are.

    Attributes
    ----------
    wanted: stream of one bit a position, in the order of the packets, in: whether it is.
    i: stream of `gen.stream.stream.residual_beat`, in.
    o: stream of fixed-point beats, out.
    passed: the bits of `wanted`, each once its packet's last beat has come, out.
    """

    def __init__(self, width: int, lanes: int, coming: int, passed: int) -> None:
        self.coming, self.held = coming, passed
        bits = stream.Signature(unsigned(1))
        super().__init__(
            {
                "wanted": In(bits),
                "i": In(stream.Signature(residual_beat(width, lanes))),
                "o": Out(stream.Signature(beat(width, lanes))),
                "passed": Out(bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.coming = coming = Queue(unsigned(1), self.coming)
        m.submodules.gone = gone = Queue(unsigned(1), self.held)
        chain(m, wiring.flipped(self.wanted), coming)
        chain(m, gone, wiring.flipped(self.passed))
        through, last, taken = coming.o.payload, self.i.payload.last, Signal()
        told = self.i.valid & coming.o.valid & (gone.i.ready | ~last)
        m.d.comb += [
            taken.eq(told & (self.o.ready | ~through)),
            self.i.ready.eq(taken),
            self.o.valid.eq(told & through),
            self.o.payload.data.eq(self.i.payload.data),
            self.o.payload.last.eq(last),
            coming.o.ready.eq(taken & last),
            gone.i.payload.eq(through),
            gone.i.valid.eq(taken & last),
        ]
        add_probe(m, "wanted", gone.i, 1, value=gone.i.payload)
        return m
