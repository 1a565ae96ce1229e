"""Logits of several tiles of the vocabulary side by side: their beats joined, the largest of all, sums of all."""

from collections.abc import Iterator, Sequence

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.head_tiles import TILE_FAN_IN, lane_steps, last_beat
from hardloom.gen.design.trees import tree_levels
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.fold import Merge, merged, runs
from hardloom.gen.stream.stream import PacketDelay, Stage, beat
from hardloom.gen.units.argmax_best import candidate, keep_better, lane_bests, lane_number, merge_best
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


class _Tokens(Stage):
    """The candidate of each tile in a beat, its token that of the vocabulary instead of the lane."""

    def __init__(self, shape: data.StructLayout, one: data.StructLayout, lanes: int, rows: Sequence[int]) -> None:
        self.lanes, self.rows = lanes, rows
        super().__init__(shape, merged(one, len(rows)))

    def transform(self, m: Module, x, y) -> None:
        base, first = Signal(range(self.rows[0] + self.lanes)), 0
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += base.eq(Mux(x.last, 0, base + self.lanes))
        m.d.comb += y.last.eq(x.last)
        for rows, found, target in zip(self.rows, x.parts, y.parts, strict=True):
            m.d.comb += [target[name].eq(found[name]) for name in found.shape().members if name != "token"]
            m.d.comb += target.token.eq(base + found.token + first)
            first += rows


class TilesDelay(PacketDelay):
    """Holds each packet back until the best of all its tiles is known, of equals that of the lowest token.

    Its stages are a tree over the lanes of each tile, then one over the tiles.

    Parameters
    ----------
    shape: of all tiles' beats, `marked_beat` or `gen.units.gumbel.ranked_beat`.
    lanes, rows: as of `TileJoin`. token: shape of a token.
    """

    def __init__(self, shape: data.StructLayout, lanes: int, rows: Sequence[int], token: ShapeLike) -> None:
        self.lanes, self.rows = lanes, rows
        super().__init__(shape, candidate(shape, token), 2 * -(-rows[0] // lanes) + 2)

    def stages(self) -> list[Stage]:
        shape, tiles, one = self.i.payload.shape(), len(self.rows), self.o.payload.stat.shape()
        within = candidate(shape, lane_number(self.lanes))
        stages = list[Stage]()
        for each, fan_in in lane_steps(self.lanes, tiles):
            some = runs(each, fan_in, tiles)
            stages.append(Merge(shape, within, self.parts, some, merge_best))
            shape = merged(within, len(some))
        stages.append(_Tokens(shape, one, self.lanes, self.rows))
        count = tiles
        for left in tree_levels(tiles, TILE_FAN_IN):
            stages.append(Merge(merged(one, count), one, self.parts, runs(count, TILE_FAN_IN), merge_best))
            count = left
        return stages

    def parts(self, x) -> list:
        """Candidates of every lane of every tile, or what a stage has left of them."""
        if "parts" in x.shape().members:
            return [*x.parts]
        lanes = (range(tile * self.lanes, (tile + 1) * self.lanes) for tile in range(len(self.rows)))
        return [best for some in lanes for best in lane_bests(x, some)]

    def fold(self, m: Module, stat, first, x, y) -> None:
        (found,) = self.parts(x)
        kept = keep_better(m, first, {name: found[name] for name in found.shape().members}, stat, in_order=False)
        m.d.comb += [y[name].eq(Mux(better, value, stat[name])) for name, (better, value) in kept.items()]


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
    for left in tree_levels(count, TILE_FAN_IN):
        wider = width + (min(TILE_FAN_IN, count) - 1).bit_length()
        yield _SumOfTiles(sums(count, width, token), sums(left, wider, token))
        count, width = left, wider
