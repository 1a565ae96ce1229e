"""Token and spread of one position from its logits."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.head_tiles import head_tiles
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import PacketDelay, Stage, beat, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.argmax_tiles import TilesDelay, TileSums, sum_tree
from hardloom.gen.units.manner import manner_shape
from hardloom.gen.units.softmax import EXP_WIDTH, Numerator, largest
from hardloom.gen.units.suppress import Suppress, marked_beat, ranks
from hardloom.golden.units.argmax import Argmax as ArgmaxSpec

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
        self.lanes = lanes
        token = prediction(vocab_size).members["token"]
        base = Shape.cast(range(vocab_size + lanes))
        statistic = data.StructLayout({"value": signed(width + 1), "token": token, "base": base})
        super().__init__(marked_beat(width, lanes), statistic, depth)

    def fold(self, m: Module, stat, first, x, y) -> None:
        base = Signal.like(stat.base)
        m.d.comb += [base.eq(Mux(first, 0, stat.base)), y.base.eq(base + self.lanes)]
        value, lane = largest(m, [(v, k) for k, v in enumerate(ranks(x))])
        better = Signal()
        m.d.comb += [
            better.eq(first | (value > stat.value)),
            y.value.eq(Mux(better, value, stat.value)),
            y.token.eq(Mux(better, base + lane, stat.token)),
        ]


class _LaneSum(Stage):
    """Sum of a beat's exponentials, those alone that count."""

    def transform(self, m: Module, x, y) -> None:
        valid = [Mux(out, 0, e) for e, out in zip(x.data, x.carry.out, strict=True)]
        m.d.comb += [y.sum.eq(sum(valid)), y.token.eq(x.carry.token), y.last.eq(x.last)]


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
    """`golden.units.argmax.Argmax`: a packet of logits and its manner in, token and spread out.

    Latency: the packet's beats, twice, plus 8 cycles, and of several tiles 2 and twice the stages of a tree more;
    throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    vocab_size: logits a packet.
    lanes: elements a beat of a tile; a packet is ceil(vocab_size / tiles / lanes) beats, elements past a tile's last
        logit are ignored.
    tiles: parts of the vocabulary (`gen.design.head_tiles`) whose beats pass side by side.
    token_ids: of the tokens that may be suppressed, `vocab_size` and perhaps a mask behind it; by default none.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.numerator.word.width` bits) of all tiles, in.
    manner: stream of `gen.units.manner.manner_shape`, one a packet, in.
    o: stream of `prediction(vocab_size)`, out.
    """

    def __init__(
        self, spec: ArgmaxSpec, vocab_size: int, lanes: int, tiles: int = 1, token_ids: int | None = None
    ) -> None:
        if vocab_size < 1 or lanes < 1:
            raise ValueError(f"vocab_size and lanes must be at least 1, not {vocab_size} and {lanes}")
        self.spec, self.vocab_size, self.lanes, self.tiles = spec, vocab_size, lanes, tiles
        self.rows = [tile.rows for tile in head_tiles(vocab_size, tiles)]
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.numerator.word.width, tiles * lanes))),
                "manner": In(stream.Signature(manner_shape(token_ids or vocab_size))),
                "o": Out(stream.Signature(prediction(vocab_size))),
            }
        )

    @property
    def token(self) -> Shape:
        return prediction(self.vocab_size).members["token"]

    def elaborate(self, platform) -> Module:
        m = Module()
        delay, width = self._delay(), self.spec.numerator.word.width
        carry = data.StructLayout({"token": self.token, "out": unsigned(self.tiles * self.lanes)})
        m.submodules.delay = delay
        m.submodules.numerator = numerator = Numerator(self.spec.numerator, self.tiles * self.lanes, carry)
        m.submodules.suppress = suppress = Suppress(width, self.lanes, self.rows, self.manner.payload.shape())
        wiring.connect(m, wiring.flipped(self.manner), suppress.manner)
        chain(m, wiring.flipped(self.i), suppress, delay)
        source, target = delay.o.payload, numerator.i.payload
        m.d.comb += [
            numerator.i.valid.eq(delay.o.valid),
            delay.o.ready.eq(numerator.i.ready),
            target.data.eq(source.beat.data),
            target.top.eq(source.stat.value),
            target.carry.token.eq(source.stat.token),
            target.carry.out.eq(source.beat.out),
            target.last.eq(source.beat.last),
        ]
        partial = self._lane_sums(m, numerator)
        m.submodules.total = total = _Total(partial.payload.shape(), self.vocab_size)
        chain(m, partial, total, wiring.flipped(self.o))
        return m

    def _delay(self) -> ArgmaxDelay | TilesDelay:
        """What holds a packet back until its largest logit is known."""
        width, vocab_size, lanes = self.spec.numerator.word.width, self.vocab_size, self.lanes
        if self.tiles > 1:
            return TilesDelay(width, lanes, self.rows, self.token)
        return ArgmaxDelay(width, lanes, vocab_size, 2 * -(-vocab_size // lanes) + 2)

    def _lane_sums(self, m: Module, numerator: Numerator) -> Any:
        """The stream of sums of a beat's exponentials."""
        shape, lanes = numerator.o.payload.shape(), self.lanes
        if self.tiles == 1:
            width = EXP_WIDTH + (lanes - 1).bit_length()
            partial = data.StructLayout({"sum": width, "token": self.token, "last": 1})
            m.submodules.lane_sum = one = _LaneSum(shape, partial)
            chain(m, numerator, one)
            return one.o
        m.submodules.tile_sums = first = TileSums(shape, lanes, self.rows, self.token)
        tree = [*sum_tree(first)]
        for number, stage in enumerate(tree):
            m.submodules[f"sum_{number}"] = stage
        chain(m, numerator, first, *tree)
        return tree[-1].o
