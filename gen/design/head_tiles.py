"""The head in tiles: parts of the vocabulary that drain side by side, and trees that bring their results together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hardloom.gen.design.trees import is_wide, tree_levels

__all__ = ["TILE_FAN_IN", "Tile", "head_tiles", "lane_steps", "last_beat"]

TILE_FAN_IN = 4
"""Tiles that a registered stage of a tree brings together, and lanes of one where there are many: in front of them
stands, in the same cycle, what leaves logits out."""


def lane_steps(lanes: int, tiles: int) -> list[tuple[int, int]]:
    """Of each stage of the tree over the lanes of a tile, which leaves one value: how many come to it, and of how many
    it makes one. A head of one tile has a stage only where one cycle does not fold all lanes."""
    if tiles == 1 and not is_wide(lanes):
        return []
    return [(count, TILE_FAN_IN) for count in (lanes, *tree_levels(lanes, TILE_FAN_IN)[:-1])]


@dataclass(frozen=True)
class Tile:
    """Part `number` of the rows of an array's matrices, from `first` to the one before `stop`."""

    number: int
    first: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.first


def head_tiles(rows: int, tiles: int) -> list[Tile]:
    """Parts of so many rows, as even as can be: the first ones have one more. Raises ValueError where one has none."""
    if not 1 <= tiles <= rows:
        raise ValueError(f"tiles must be at least 1 and at most {rows}, not {tiles}")
    least, more = divmod(rows, tiles)
    firsts = [least * number + min(number, more) for number in range(tiles + 1)]
    return [Tile(number, *span) for number, span in enumerate(pairwise(firsts))]


def last_beat(rows: Sequence[int], lanes: int) -> list[int]:
    """Elements of each tile in the last beat of a packet, none where it has a beat less than the first tile."""
    whole = (rows[0] - 1) // lanes * lanes
    return [count - whole for count in rows]
