"""Logits of several tiles of the vocabulary side by side: their beats joined, the largest of all, sums of all."""

from collections.abc import Iterator, Sequence

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.head_tiles import TILE_FAN_IN, last_beat, tree_levels
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import FULL_RATE, Queue
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.units.argmax_best import best_lane, best_of, candidate, keep_better
from hardloom.gen.units.softmax import EXP_WIDTH

__all__ = ["TileJoin", "TileSums", "TilesDelay", "sum_tree"]


class TileJoin(Component):
    """Beats of all tiles side by side. Latency 0, one beat a cycle.

    Parameters
    ----------
    width, lanes: of a tile's beat. rows: elements of each tile's packet (`gen.design.head_tiles`).

    Attributes
    ----------
    i_0, i_1, ...: streams of fixed-point beats, a tile each, in.
    o: stream of fixed-point beats of all tiles' lanes, out; what a tile that has ended gives is undefined.
    """

    def __init__(self, width: int, lanes: int, rows: Sequence[int]) -> None:
        self.lanes, self.rows = lanes, rows
        tiles = {f"i_{tile}": In(stream.Signature(beat(width, lanes))) for tile in range(len(rows))}
        super().__init__(tiles | {"o": Out(stream.Signature(beat(width, len(rows) * lanes)))})

    def elaborate(self, platform) -> Module:
        m, lanes = Module(), self.lanes
        tiles = [getattr(self, f"i_{tile}") for tile in range(len(self.rows))]
        last = tiles[0].valid & tiles[0].payload.last
        ended = [Const(0) if count else last for count in last_beat(self.rows, lanes)]
        there, taken = Signal(len(tiles)), Signal()
        m.d.comb += [
            self.o.valid.eq(there.all()),
            taken.eq(self.o.valid & self.o.ready),
            self.o.payload.last.eq(tiles[0].payload.last),
        ]
        for number, (tile, over) in enumerate(zip(tiles, ended, strict=True)):
            m.d.comb += [there[number].eq(tile.valid | over), tile.ready.eq(taken & ~over)]
            for k in range(lanes):
                m.d.comb += self.o.payload.data[number * lanes + k].eq(tile.payload.data[k])
        return m


def candidates(count: int, one: data.StructLayout) -> data.StructLayout:
    """So many of `gen.units.argmax_best.candidate`."""
    return data.StructLayout({"found": data.ArrayLayout(one, count), "last": unsigned(1)})


class _TileLargest(Stage):
    """The candidate of each tile in a beat, the first of equals."""

    def __init__(self, shape: data.StructLayout, one: data.StructLayout, lanes: int, rows: Sequence[int]) -> None:
        self.lanes, self.rows = lanes, rows
        super().__init__(shape, candidates(len(rows), one))

    def transform(self, m: Module, x, y) -> None:
        lanes, first = self.lanes, 0
        base = Signal(range(self.rows[0] + lanes))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += base.eq(Mux(x.last, 0, base + lanes))
        m.d.comb += y.last.eq(x.last)
        for tile, rows in enumerate(self.rows):
            found, lane = best_lane(m, x, range(tile * lanes, (tile + 1) * lanes))
            m.d.comb += [y.found[tile][name].eq(value) for name, value in found.items()]
            m.d.comb += y.found[tile].token.eq(base + lane + first)
            first += rows


class _LargestOfTiles(Stage):
    """A stage of the tree of candidates: of `TILE_FAN_IN` of them the first of the best."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for number, target in enumerate(y.found):
            best = best_of(m, x.found[number * TILE_FAN_IN : (number + 1) * TILE_FAN_IN])
            m.d.comb += [target[name].eq(value) for name, value in best.items()]


class _LargestOfBeats(Component):
    """Of the beats of a packet the best, of equals that of the lowest token. Latency 1, one beat a cycle."""

    def __init__(self, i_shape: data.StructLayout) -> None:
        statistic = i_shape.members["found"].elem_shape
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(statistic))})

    def elaborate(self, platform) -> Module:
        m = Module()
        found, best, first = self.i.payload.found[0], self.o.payload, Signal(init=1)
        new = {name: found[name] for name in found.shape().members}
        kept = keep_better(m, first, new, best, in_order=False)
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid & self.i.payload.last)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += first.eq(self.i.payload.last)
            for name, (better, value) in kept.items():
                with m.If(better):
                    m.d.sync += best[name].eq(value)
        return m


class TilesDelay(Component):
    """Holds each packet back until the best of all its tiles is known.

    Latency: a packet's beats plus 5 cycles and one a stage of the tree; throughput 1 beat a cycle.

    Parameters
    ----------
    shape: of all tiles' beats, `marked_beat` or `gen.units.gumbel.ranked_beat`.
    lanes, rows: as of `TileJoin`. token: shape of a token.

    Attributes
    ----------
    i: stream of `shape`, in.
    o: stream of {`beat`, `stat`: `gen.units.argmax_best.candidate`}, out.
    """

    def __init__(self, shape: data.StructLayout, lanes: int, rows: Sequence[int], token: ShapeLike) -> None:
        self.lanes, self.rows, self.statistic = lanes, rows, candidate(shape, token)
        o_shape = data.StructLayout({"beat": shape, "stat": self.statistic})
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        count = len(self.rows)
        stages: list[Stage] = [_TileLargest(self.i.payload.shape(), self.statistic, self.lanes, self.rows)]
        for left in tree_levels(count):
            before, after = (candidates(n, self.statistic) for n in (count, left))
            stages.append(_LargestOfTiles(before, after))
            count = left
        beats = Queue(self.i.payload.shape(), 2 * -(-self.rows[0] // self.lanes) + 4 + len(stages))
        best = _LargestOfBeats(stages[-1].o.payload.shape())
        stats = Queue(self.o.payload.stat.shape(), FULL_RATE)
        m.submodules.beats, m.submodules.best, m.submodules.stats = beats, best, stats
        for number, stage in enumerate(stages):
            m.submodules[f"level_{number}"] = stage
        chain(m, *stages, best, stats)
        take, give = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(beats.i.ready & stages[0].i.ready),
            take.eq(self.i.valid & self.i.ready),
            beats.i.payload.eq(self.i.payload),
            beats.i.valid.eq(take),
            stages[0].i.payload.eq(self.i.payload),
            stages[0].i.valid.eq(take),
            self.o.payload.beat.eq(beats.o.payload),
            self.o.payload.stat.eq(stats.o.payload),
            self.o.valid.eq(beats.o.valid & stats.o.valid),
            give.eq(self.o.valid & self.o.ready),
            beats.o.ready.eq(give),
            stats.o.ready.eq(give & self.o.payload.beat.last),
        ]
        return m


def sums(count: int, width: int, token: ShapeLike) -> data.StructLayout:
    """So many partial sums of a beat's exponentials, or the one `sum`, and what travels with them."""
    values = {"sums": data.ArrayLayout(unsigned(width), count)} if count > 1 else {"sum": unsigned(width)}
    return data.StructLayout({**values, "token": token, "last": unsigned(1)})


class TileSums(Stage):
    """Sum of each tile's exponentials in a beat, those alone that count."""

    def __init__(self, i_shape: data.StructLayout, lanes: int, rows: Sequence[int], token: ShapeLike) -> None:
        self.lanes, self.rows = lanes, rows
        super().__init__(i_shape, sums(len(rows), EXP_WIDTH + (lanes - 1).bit_length(), token))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.token.eq(x.carry.token), y.last.eq(x.last)]
        valid = [Mux(out, 0, e) for e, out in zip(x.data, x.carry.out, strict=True)]
        for tile in range(len(self.rows)):
            m.d.comb += y.sums[tile].eq(sum(valid[tile * self.lanes : (tile + 1) * self.lanes]))


class _SumOfTiles(Stage):
    """A stage of the tree of sums."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.token.eq(x.token), y.last.eq(x.last)]
        for number, target in enumerate(y.sums if "sums" in y.shape().members else [y.sum]):
            m.d.comb += target.eq(sum(x.sums[number * TILE_FAN_IN : (number + 1) * TILE_FAN_IN]))


def sum_tree(first: TileSums) -> Iterator[Stage]:
    """The stages behind `first` that leave one sum."""
    shape = first.o.payload.shape()
    token, count, width = shape.members["token"], len(first.rows), shape.members["sums"].elem_shape.width
    for left in tree_levels(count):
        wider = width + (min(TILE_FAN_IN, count) - 1).bit_length()
        yield _SumOfTiles(sums(count, width, token), sums(left, wider, token))
        count, width = left, wider
