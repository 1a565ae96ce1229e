"""Token and spread of one position from its logits."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.head_tiles import TILE_FAN_IN, head_tiles
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.fold import LanesDelay
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.argmax_best import best_of, candidate, keep_better, lane_bests, lane_number, merge_best
from hardloom.gen.units.argmax_share import Share
from hardloom.gen.units.argmax_tiles import TilesDelay, TileSums, sum_tree
from hardloom.gen.units.gumbel import Gumbel
from hardloom.gen.units.manner import packet_manner
from hardloom.gen.units.softmax import EXP_WIDTH, Numerator, numerator_beat
from hardloom.gen.units.suppress import Suppress
from hardloom.golden.units.argmax import Argmax as ArgmaxSpec

__all__ = ["Argmax", "ArgmaxDelay", "prediction"]


def prediction(vocab_size: int, noise: bool = False) -> data.StructLayout:
    """`token`, and `spread` with 16 fraction bits: of `vocab_size` exponentials, so 17 bits and those of the count.

    noise: the token need not be the most probable one, and a spread has 16 bits more.
    """
    spread = EXP_WIDTH + (vocab_size - 1).bit_length() + (EXP_WIDTH - 1) * noise
    return data.StructLayout({"token": unsigned(index_width(vocab_size)), "spread": unsigned(spread)})


class ArgmaxDelay(LanesDelay):
    """Statistic of a packet of logits: `gen.units.argmax_best.candidate`, the token the lowest of equals.

    `base`, the number of the next beat's first element, is the fold's own.

    Parameters
    ----------
    shape: `marked_beat` or `gen.units.gumbel.ranked_beat`.
    """

    def __init__(self, shape: data.StructLayout, lanes: int, vocab_size: int, depth: int) -> None:
        members = candidate(shape, prediction(vocab_size).members["token"]).members
        base = Shape.cast(range(vocab_size + lanes))
        statistic = data.StructLayout({**members, "base": base})
        super().__init__(shape, statistic, depth, lanes, fan_in=TILE_FAN_IN, enough=1)

    def part(self, lanes: int) -> data.StructLayout:
        return candidate(self.i.payload.shape(), lane_number(self.lanes))

    def values(self, x) -> list:
        return lane_bests(x, range(self.lanes))

    def merge(self, m: Module, some: list, y) -> None:
        merge_best(m, some, y)

    def fold(self, m: Module, stat, first, x, y) -> None:
        base = Signal.like(stat.base)
        m.d.comb += [base.eq(Mux(first, 0, stat.base)), y.base.eq(base + self.lanes)]
        found = best_of(m, self.parts(x))
        kept = keep_better(m, first, found | {"token": base + found["token"]}, stat, in_order=True)
        m.d.comb += [y[name].eq(Mux(better, value, stat[name])) for name, (better, value) in kept.items()]


class _LaneSum(Stage):
    """Sum of a beat's exponentials, those alone that count."""

    def transform(self, m: Module, x, y) -> None:
        valid = [Mux(out, 0, e) for e, out in zip(x.data, x.carry.out, strict=True)]
        m.d.comb += [y.sum.eq(sum(valid)), y.token.eq(x.carry.token), y.last.eq(x.last)]


class _Total(Component):
    """Adds the beats of a packet up: one item out for a packet in. Latency 1, one beat a cycle."""

    def __init__(self, i_shape: data.StructLayout, vocab_size: int) -> None:
        spread = prediction(vocab_size).members["spread"]
        o_shape = data.StructLayout({"token": i_shape.members["token"], "spread": spread})
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

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

    Latency: the packet's beats and `gen.design.latency.argmax`. Throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification.
    vocab_size: logits a packet.
    lanes: elements a beat of a tile; a packet is ceil(vocab_size / tiles / lanes) beats, elements past a tile's last
        logit are ignored.
    tiles: parts of the vocabulary (`gen.design.head_tiles`) whose beats pass side by side.
    token_ids: of the tokens that may be suppressed, `vocab_size` and perhaps a mask behind it; by default none.
    noise: there is noise on the logits, `gen.units.gumbel.Gumbel`, by the temperature and the word of a manner.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.numerator.word.width` bits) of all tiles, in.
    manner: stream of `gen.units.manner.packet_manner`, one a packet, in.
    o: stream of `prediction(vocab_size, noise)`, out.
    """

    def __init__(
        self,
        spec: ArgmaxSpec,
        vocab_size: int,
        lanes: int,
        tiles: int = 1,
        token_ids: int | None = None,
        noise: bool = False,
    ) -> None:
        if vocab_size < 1 or lanes < 1:
            raise ValueError(f"vocab_size and lanes must be at least 1, not {vocab_size} and {lanes}")
        self.spec, self.vocab_size, self.lanes, self.tiles, self.noise = spec, vocab_size, lanes, tiles, noise
        self.rows = [tile.rows for tile in head_tiles(vocab_size, tiles)]
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.numerator.word.width, tiles * lanes))),
                "manner": In(stream.Signature(packet_manner(token_ids or vocab_size, noise))),
                "o": Out(stream.Signature(prediction(vocab_size, noise))),
            }
        )

    @property
    def token(self) -> ShapeLike:
        """What travels with the exponentials: the token, and with noise what `chosen`, its own exponential, is."""
        token = prediction(self.vocab_size).members["token"]
        return data.StructLayout({"token": token, "chosen": unsigned(EXP_WIDTH)}) if self.noise else token

    def elaborate(self, platform) -> Module:
        m = Module()
        width, count = self.spec.numerator.word.width, self.tiles * self.lanes
        m.submodules.suppress = suppress = Suppress(width, self.lanes, self.rows, self.manner.payload.shape())
        wiring.connect(m, wiring.flipped(self.manner), suppress.manner)
        chain(m, wiring.flipped(self.i), suppress)
        marked = self._ranked(m, suppress) if self.noise else suppress
        m.submodules.delay = delay = self._delay(marked.o.payload.shape())
        chain(m, marked, delay)
        carry = data.StructLayout({"token": prediction(self.vocab_size).members["token"], "out": unsigned(count)})
        m.submodules.numerator = numerator = Numerator(self.spec.numerator, count + self.noise, carry)
        source, target = delay.o.payload, numerator.i.payload
        m.d.comb += [
            numerator.i.valid.eq(delay.o.valid),
            delay.o.ready.eq(numerator.i.ready),
            *(target.data[k].eq(source.beat.data[k]) for k in range(count)),
            target.top.eq(source.stat.value),
            target.carry.token.eq(source.stat.token),
            target.carry.out.eq(source.beat.out),
            target.last.eq(source.beat.last),
        ]
        if self.noise:
            m.d.comb += target.data[count].eq(source.stat.logit)
        partial = self._lane_sums(m, self._chosen(m, numerator) if self.noise else numerator.o)
        m.submodules.total = total = _Total(partial.payload.shape(), self.vocab_size)
        chain(m, partial, total)
        if not self.noise:
            wiring.connect(m, total.o, wiring.flipped(self.o))
            return m
        m.submodules.share = share = Share(self.spec.reciprocal, total.o.payload.shape(), self.o.payload.shape())
        chain(m, total, share, wiring.flipped(self.o))
        return m

    def _ranked(self, m: Module, suppress: Suppress) -> Gumbel:
        """Noise, by what the manner says that holds while its packet passes."""
        m.submodules.noise = noise = Gumbel(self.spec.numerator.word, self.lanes, self.rows)
        m.d.comb += [
            noise.i.valid.eq(suppress.o.valid),
            suppress.o.ready.eq(noise.i.ready),
            noise.i.payload.beat.eq(suppress.o.payload),
            noise.i.payload.temperature.eq(self.manner.payload.temperature),
            noise.i.payload.word.eq(self.manner.payload.word),
        ]
        return noise

    def _chosen(self, m: Module, numerator: Numerator) -> Any:
        """The stream of exponentials, of which the last, that of the token, travels with the token."""
        count, given = self.tiles * self.lanes, numerator.o.payload
        carry = data.StructLayout({"token": self.token, "out": unsigned(count)})
        found = stream.Signature(numerator_beat(unsigned(EXP_WIDTH), count, carry)).create(path=("exponentials",))
        m.d.comb += [
            found.valid.eq(numerator.o.valid),
            numerator.o.ready.eq(found.ready),
            *(found.payload.data[k].eq(given.data[k]) for k in range(count)),
            found.payload.carry.token.token.eq(given.carry.token),
            found.payload.carry.token.chosen.eq(given.data[count]),
            found.payload.carry.out.eq(given.carry.out),
            found.payload.last.eq(given.last),
        ]
        return found

    def _delay(self, shape: data.StructLayout) -> ArgmaxDelay | TilesDelay:
        """What holds a packet back until its best is known."""
        vocab_size, lanes = self.vocab_size, self.lanes
        if self.tiles > 1:
            return TilesDelay(shape, lanes, self.rows, prediction(vocab_size).members["token"])
        return ArgmaxDelay(shape, lanes, vocab_size, 2 * -(-vocab_size // lanes) + 2)

    def _lane_sums(self, m: Module, exponentials: Any) -> Any:
        """The stream of sums of a beat's exponentials."""
        shape, lanes = exponentials.payload.shape(), self.lanes
        if self.tiles == 1:
            width = EXP_WIDTH + (lanes - 1).bit_length()
            partial = data.StructLayout({"sum": width, "token": self.token, "last": 1})
            m.submodules.lane_sum = one = _LaneSum(shape, partial)
            chain(m, exponentials, one)
            return one.o
        m.submodules.tile_sums = first = TileSums(shape, lanes, self.rows, self.token)
        tree = [*sum_tree(first)]
        for number, stage in enumerate(tree):
            m.submodules[f"sum_{number}"] = stage
        chain(m, exponentials, first, *tree)
        return tree[-1].o
