"""Statistics of packets of any number of lanes: what one cycle cannot fold goes through a registered tree first."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, unsigned
from amaranth.lib import data

from hardloom.gen.design.trees import FOLDED, fold_levels
from hardloom.gen.stream.stream import PacketDelay, Stage

__all__ = ["LanesDelay", "Merge", "merged", "runs"]


def merged(part: ShapeLike, count: int) -> data.StructLayout:
    """What a stage of a tree leaves of a beat: `parts`, so many values of shape `part`, and the beat's `last`."""
    return data.StructLayout({"parts": data.ArrayLayout(part, count), "last": unsigned(1)})


def runs(count: int, fan_in: int, times: int = 1) -> list[range]:
    """Runs of up to `fan_in` of so many values, and of as many more behind them, so many `times` in all."""
    starts = [(count * k, count * (k + 1)) for k in range(times)]
    return [range(at, min(at + fan_in, stop)) for first, stop in starts for at in range(first, stop, fan_in)]


class Merge(Stage):
    """A stage of a tree: of each run of values one. Latency 1 cycle, throughput 1 beat a cycle.

    Parameters
    ----------
    i_shape: a beat, or what `merged` gives; part: shape of a value after the stage.
    values: of a payload, its values. runs: which of them are merged, each into one.
    merge: drives its last argument, one value, from several.
    """

    def __init__(
        self,
        i_shape: data.StructLayout,
        part: ShapeLike,
        values: Callable[[Any], list],
        runs: list[range],
        merge: Callable[[Module, list, Any], None],
    ) -> None:
        self.values, self.runs, self.merge = values, runs, merge
        super().__init__(i_shape, merged(part, len(runs)))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        values = self.values(x)
        for run, target in zip(self.runs, y.parts, strict=True):
            self.merge(m, values[run.start : run.stop], target)


class LanesDelay(PacketDelay):
    """A packet delay whose statistic is that of all lanes of all beats, whatever their number.

    A subclass gives `part`, `values` and `merge`. No cycle folds more than `FOLDED` values and the statistic before
    them: of more lanes the beats go through a tree of `fold_levels` stages, each a cycle of latency and a beat of
    storage.

    Parameters
    ----------
    shape, statistic, depth: as of `PacketDelay`. lanes: of a beat.
    neutral: what is merged with a packet's first beat.
    fan_in, enough: of the tree, where there is one (`fold_levels`).
    """

    def __init__(
        self,
        shape: data.StructLayout,
        statistic: ShapeLike,
        depth: int,
        lanes: int,
        neutral: int = 0,
        fan_in: int = FOLDED,
        enough: int = FOLDED,
    ) -> None:
        self.lanes, self.neutral, self.fan_in, self.enough = lanes, neutral, fan_in, enough
        super().__init__(shape, statistic, depth)

    def part(self, lanes: int) -> ShapeLike:
        """Shape of what up to so many lanes come to."""
        raise NotImplementedError

    def values(self, x) -> list:
        """What each lane of beat `x` comes to."""
        raise NotImplementedError

    def merge(self, m: Module, some: list, y) -> None:
        """Drive `y`, one value, from several, of which the first may be the statistic, then those of lower lanes."""
        raise NotImplementedError

    def stages(self) -> list[Stage]:
        counts = [self.lanes, *fold_levels(self.lanes, self.fan_in, self.enough)]
        stages, shape, folded = list[Stage](), self.i.payload.shape(), 1
        for before, after in pairwise(counts):
            folded *= self.fan_in
            part = self.part(min(folded, self.lanes))
            stages.append(Merge(shape, part, self.parts, runs(before, self.fan_in), self.merge))
            shape = merged(part, after)
        return stages

    def parts(self, x) -> list:
        """Values of a beat, or of what a stage has left of it."""
        return [*x.parts] if "parts" in x.shape().members else self.values(x)

    def fold(self, m: Module, stat, first, x, y) -> None:
        self.merge(m, [Mux(first, self.neutral, stat), *self.parts(x)], y)
