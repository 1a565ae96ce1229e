"""Token and spread of one position from its logits."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.stream.component import Component
from gen.stream.stream import PacketDelay, Stage, beat
from gen.text.constant_module import index_width
from gen.units.softmax import EXP_WIDTH, Numerator, largest
from golden.units.argmax import Argmax as ArgmaxSpec

__all__ = ["Argmax", "ArgmaxDelay", "prediction"]


def prediction(vocab_size: int) -> data.StructLayout:
    """`token`, and `spread` with 16 fraction bits: of `vocab_size` exponentials, so 17 bits and those of the count."""
    return data.StructLayout(
        {
            "token": unsigned(index_width(vocab_size)),
            "spread": unsigned(EXP_WIDTH + (vocab_size - 1).bit_length()),
        }
    )


class ArgmaxDelay(PacketDelay):
    """Statistic of a packet of logits: `value` of the largest and its `token`, the lowest of equals.

    `base`, the number of the next beat's first element, is the fold's own.
    """

    def __init__(self, width: int, lanes: int, vocab_size: int, depth: int) -> None:
        self.lanes, self.tail = lanes, (vocab_size - 1) % lanes + 1
        token = prediction(vocab_size).members["token"]
        base = Shape.cast(range(vocab_size + lanes))
        statistic = data.StructLayout({"value": signed(width), "token": token, "base": base})
        super().__init__(beat(width, lanes), statistic, depth)

    def fold(self, m: Module, stat, first, x, y) -> None:
        lowest = -(1 << (len(y.value) - 1))
        base = Signal.like(stat.base)
        m.d.comb += [base.eq(Mux(first, 0, stat.base)), y.base.eq(base + self.lanes)]
        values = [x.data[k] if k < self.tail else Mux(x.last, lowest, x.data[k]) for k in range(self.lanes)]
        value, lane = largest(m, [(v, k) for k, v in enumerate(values)])
        better = Signal()
        m.d.comb += [
            better.eq(first | (value > stat.value)),
            y.value.eq(Mux(better, value, stat.value)),
            y.token.eq(Mux(better, base + lane, stat.token)),
        ]


class _LaneSum(Stage):
    """Sum of a beat's exponentials, without the padding of the last beat."""

    def __init__(self, i_shape: data.StructLayout, o_shape: data.StructLayout, tail: int) -> None:
        self.tail = tail
        super().__init__(i_shape, o_shape)

    def transform(self, m: Module, x, y) -> None:
        valid = [e if k < self.tail else Mux(x.last, 0, e) for k, e in enumerate(x.data)]
        m.d.comb += [y.sum.eq(sum(valid)), y.token.eq(x.carry), y.last.eq(x.last)]


class _Total(Component):
    """Adds the beats of a packet up: one item out for a packet in. Latency 1, one beat a cycle."""

    def __init__(self, i_shape: data.StructLayout, vocab_size: int) -> None:
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(prediction(vocab_size)))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, o = self.i.payload, self.o
        first = Signal(init=1)
        m.d.comb += self.i.ready.eq(~o.valid | o.ready)
        with m.If(self.i.ready):
            m.d.sync += o.valid.eq(self.i.valid & x.last)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                first.eq(x.last),
                o.payload.token.eq(x.token),
                o.payload.spread.eq(Mux(first, 0, o.payload.spread) + x.sum),
            ]
        return m


class Argmax(Component):
    """`golden.units.argmax.Argmax`: a packet of logits in, its token and spread out.

    Latency: the packet's beats, twice, plus 7 cycles; throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    vocab_size: logits a packet.
    lanes: elements a beat; a packet is ceil(vocab_size / lanes) beats, elements past the last logit are ignored.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.numerator.word.width` bits), in.
    o: stream of `prediction(vocab_size)`, out.
    """

    def __init__(self, spec: ArgmaxSpec, vocab_size: int, lanes: int) -> None:
        if vocab_size < 1 or lanes < 1:
            raise ValueError(f"vocab_size and lanes must be at least 1, not {vocab_size} and {lanes}")
        self.spec, self.vocab_size, self.lanes = spec, vocab_size, lanes
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.numerator.word.width, lanes))),
                "o": Out(stream.Signature(prediction(vocab_size))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        vocab_size, lanes, word = self.vocab_size, self.lanes, self.spec.numerator.word
        token = prediction(vocab_size).members["token"]
        depth = 2 * -(-vocab_size // lanes) + 2
        m.submodules.delay = delay = ArgmaxDelay(word.width, lanes, vocab_size, depth)
        m.submodules.numerator = numerator = Numerator(self.spec.numerator, lanes, token)
        width = EXP_WIDTH + (lanes - 1).bit_length()
        partial = data.StructLayout({"sum": width, "token": token, "last": 1})
        m.submodules.lane_sum = lane_sum = _LaneSum(numerator.o.payload.shape(), partial, delay.tail)
        m.submodules.total = total = _Total(partial, vocab_size)

        wiring.connect(m, wiring.flipped(self.i), delay.i)
        source, target = delay.o.payload, numerator.i.payload
        m.d.comb += [
            numerator.i.valid.eq(delay.o.valid),
            delay.o.ready.eq(numerator.i.ready),
            target.data.eq(source.beat.data),
            target.top.eq(source.stat.value),
            target.carry.eq(source.stat.token),
            target.last.eq(source.beat.last),
        ]
        wiring.connect(m, numerator.o, lane_sum.i)
        wiring.connect(m, lane_sum.o, total.i)
        wiring.connect(m, total.o, wiring.flipped(self.o))
        return m
