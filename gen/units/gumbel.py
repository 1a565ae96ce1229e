"""Noise on logits: `golden.units.gumbel` in hardware, a token a lane."""

from collections.abc import Sequence
from itertools import accumulate

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.arith import bit_length
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, chain
from hardloom.gen.text.constant_table import ConstantTable
from hardloom.gen.units.manner import WORD, packet_manner, told_manner
from hardloom.gen.units.rounding import round_shift
from hardloom.gen.units.suppress import marked_beat
from hardloom.golden.samplers.manner import AMOUNT_FRAC
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.gumbel import CELL_BITS, GUMBEL_FRAC, OCTAVES, ROUNDS, TABLE

__all__ = ["NOISE_WIDTH", "Gumbel", "NoiseTable", "NoiseWord", "ranked_beat"]

NOISE = Shape.cast(range(min(TABLE), max(TABLE) + 1))
NOISE_WIDTH = NOISE.width


def _words(count: int, carry: ShapeLike) -> data.StructLayout:
    """Words on their way through `Mixed`, and what travels with them."""
    return data.StructLayout({"words": data.ArrayLayout(unsigned(WORD), count), "carry": carry})


class _Round(Stage):
    """An addition and a shift of `golden.units.gumbel.mixed`, of every word."""

    def __init__(self, shape: data.StructLayout, left: int, right: int) -> None:
        self.left, self.right = left, right
        super().__init__(shape, shape)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.carry.eq(x.carry)
        for source, target in zip(x.words, y.words, strict=True):
            total = Signal(WORD)
            m.d.comb += [total.eq(source + (source << self.left)), target.eq(total ^ (total >> self.right))]


class Mixed(Component):
    """`golden.units.gumbel.mixed` of every word of a beat. Latency 4 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    count: words a beat. carry: shape of what travels along.

    Attributes
    ----------
    i, o: streams of {`words`, `carry`}, in and out.
    """

    def __init__(self, count: int, carry: ShapeLike) -> None:
        self.shape = _words(count, carry)
        super().__init__({"i": In(stream.Signature(self.shape)), "o": Out(stream.Signature(self.shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        stages = [_Round(self.shape, left, right) for left, right in ROUNDS]
        for number, stage in enumerate(stages):
            m.submodules[f"round_{number}"] = stage
        chain(m, wiring.flipped(self.i), *stages, wiring.flipped(self.o))
        return m


class NoiseWord(Component):
    """What a packet's seed, step and position come to: h(h(h(seed) + step) + position), h as of `Mixed`.

    Latency 12 cycles, throughput 1 packet a cycle.

    Parameters
    ----------
    vocab_size: tokens that may be suppressed.

    Attributes
    ----------
    i: stream of `gen.units.manner.told_manner`, in; o: stream of `gen.units.manner.packet_manner`, out.
    """

    def __init__(self, vocab_size: int) -> None:
        i_shape, o_shape = told_manner(vocab_size, True), packet_manner(vocab_size, True)
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m, left = Module(), dict(self.i.payload.shape().members)
        ahead, given, word = self.i, self.i.payload, 0
        for part in ("seed", "step", "position"):
            shape = left.pop(part)
            assert shape.width <= WORD
            m.submodules[f"{part}_mixed"] = mixed = Mixed(1, data.StructLayout(left))
            m.d.comb += [
                mixed.i.valid.eq(ahead.valid),
                ahead.ready.eq(mixed.i.ready),
                mixed.i.payload.words[0].eq(word + given[part]),
                *(mixed.i.payload.carry[name].eq(given[name]) for name in left),
            ]
            ahead, given, word = mixed.o, mixed.o.payload.carry, mixed.o.payload.words[0]
        m.d.comb += [
            self.o.valid.eq(ahead.valid),
            ahead.ready.eq(self.o.ready),
            self.o.payload.word.eq(word),
            *(self.o.payload[name].eq(given[name]) for name in left),
        ]
        return m


class NoiseTable(Component):
    """The noise of a word, `GUMBEL_FRAC` fraction bits, combinational (latency 0).

    Attributes
    ----------
    index: of the word, the bits behind its first one, and above them its leading zeros, 31 at most; in.
    noise: signed, out.
    """

    def __init__(self) -> None:
        super().__init__({"index": In(range(OCTAVES << CELL_BITS)), "noise": Out(NOISE)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.entries = entries = ConstantTable("gumbel", [[one] for one in TABLE], NOISE.width, True, NOISE)
        m.d.comb += [entries.index.eq(self.index), self.noise.eq(entries.data)]
        return m


def _lanes(element: data.ArrayLayout, carry: ShapeLike) -> data.StructLayout:
    """Between stages: so much of every lane, and what travels with a beat."""
    return data.StructLayout({"lanes": element, "carry": carry})


class _Places(Stage):
    """Leading zeros of every lane's word, and the bits behind its first one."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.carry.eq(x.carry)
        for word, target in zip(x.words, y.lanes, strict=True):
            bits, shifted = bit_length(m, word), Signal(WORD)
            m.d.comb += [
                target.octave.eq(Mux(bits == 0, OCTAVES - 1, OCTAVES - bits)),
                shifted.eq(word << target.octave),
                target.behind.eq(shifted[WORD - 1 - CELL_BITS : WORD - 1]),
            ]


class _Noise(Stage):
    """Every lane's noise, by table."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.carry.eq(x.carry)
        for number, (source, target) in enumerate(zip(x.lanes, y.lanes, strict=True)):
            m.submodules[f"table_{number}"] = table = NoiseTable()
            m.d.comb += [table.index.eq(Cat(source.behind, source.octave)), target.eq(table.noise)]


class _Product(Stage):
    """Every lane's noise times the temperature."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.carry.beat.eq(x.carry.beat)
        m.d.comb += [target.eq(source * x.carry.temperature) for source, target in zip(x.lanes, y.lanes, strict=True)]


def _least_most(word: FixedPoint) -> tuple[int, int]:
    """Between what the sum of a logit and its noise is, with room for one below all of them."""
    hottest, shift = (1 << 16) - 1, AMOUNT_FRAC + GUMBEL_FRAC - word.frac
    least, most = (round(hottest * noise * 2.0**-shift) for noise in (min(TABLE), max(TABLE)))
    return word.min + least - 2, word.max + most + 1


def ranked_beat(word: FixedPoint, lanes: int) -> data.StructLayout:
    """As `marked_beat`, and `rank`: of each element its sum with its noise, those left out below all others."""
    least, most = _least_most(word)
    rank = Shape.cast(range(least, most + 1))
    return data.StructLayout({**marked_beat(word.width, lanes).members, "rank": data.ArrayLayout(rank, lanes)})


class _Rank(Stage):
    """Logits and their noise, rounded to the unit of logits, added up."""

    def __init__(self, word: FixedPoint, i_shape: data.StructLayout, lanes: int) -> None:
        self.shift = AMOUNT_FRAC + GUMBEL_FRAC - word.frac
        super().__init__(i_shape, ranked_beat(word, lanes))

    def transform(self, m: Module, x, y) -> None:
        given = x.carry.beat
        m.d.comb += [y[name].eq(given[name]) for name in given.shape().members]
        for k, rank in enumerate(y.rank):
            noise = round_shift(x.lanes[k], self.shift) if self.shift >= 0 else x.lanes[k] << -self.shift
            m.d.comb += rank.eq(Mux(given.out[k], -(1 << len(rank) - 1), given.data[k] + noise))


class Gumbel(Component):
    """Adds its noise to each logit. Latency 8 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    word: of a logit.
    lanes: of a tile's beat. rows: elements of each tile's packet (`gen.design.head_tiles`).

    Attributes
    ----------
    i: stream of {`beat`: `gen.units.suppress.marked_beat` of all tiles, `temperature`, `word`}, in; the latter, of
        `gen.units.manner.packet_manner`, are the packet's own.
    o: stream of `ranked_beat`, out.
    """

    def __init__(self, word: FixedPoint, lanes: int, rows: Sequence[int]) -> None:
        self.word, self.lanes, self.rows, self.count = word, lanes, rows, lanes * len(rows)
        shape = {"beat": marked_beat(word.width, self.count), "temperature": unsigned(16), "word": unsigned(WORD)}
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(shape))),
                "o": Out(stream.Signature(ranked_beat(word, self.count))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, x, count = Module(), self.i.payload, self.count
        beat = {"beat": x.beat.shape()}
        carry = data.StructLayout({**beat, "temperature": x.temperature.shape()})
        place = data.StructLayout({"octave": range(OCTAVES), "behind": unsigned(CELL_BITS)})
        located = _lanes(data.ArrayLayout(place, count), carry)
        looked_up = _lanes(data.ArrayLayout(NOISE, count), carry)
        multiplied = _lanes(data.ArrayLayout(signed(NOISE.width + 16), count), data.StructLayout(beat))
        m.submodules.mixed = mixed = Mixed(count, carry)
        m.submodules.places = places = _Places(_words(count, carry), located)
        m.submodules.noise = noise = _Noise(located, looked_up)
        m.submodules.product = product = _Product(looked_up, multiplied)
        m.submodules.rank = rank = _Rank(self.word, multiplied, count)
        base = Signal(range(self.rows[0] + self.lanes))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += base.eq(Mux(x.beat.last, 0, base + self.lanes))
        m.d.comb += [
            mixed.i.valid.eq(self.i.valid),
            self.i.ready.eq(mixed.i.ready),
            mixed.i.payload.carry.beat.eq(x.beat),
            mixed.i.payload.carry.temperature.eq(x.temperature),
        ]
        for tile, first in enumerate(accumulate(self.rows[:-1], initial=0)):
            start = Signal(WORD, name=f"start_{tile}")
            m.d.comb += start.eq(x.word + base + first)
            for k in range(self.lanes):
                m.d.comb += mixed.i.payload.words[tile * self.lanes + k].eq(start + k)
        chain(m, mixed, places, noise, product, rank, wiring.flipped(self.o))
        return m
