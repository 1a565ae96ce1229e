"""Which wire enters which slot: weights to slots of neuron cells, exactly, with spill; compiled, one pass a cell."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numba import njit

from hardloom.gen.arrays.capacity import CapacityError, Regions, classes
from hardloom.gen.arrays.rings import rings

__all__ = ["assign", "fitting_regions", "misfits"]

SPILL_ROUNDS = 8
WEIGHTS_AT_ONCE = 1 << 17  # so that their slots stay in the cache


def assign(
    weights: np.ndarray, cells: np.ndarray, regions: Regions, slices: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Slots of neuron cells, int32 [cells, slots]: 0 no wire, 1 + v wire p of feed v, 1 + feeds + v its wire n.

    weights: int16 or int32 [rows, inputs]. cells: int32 [cells, fold], the rows of every cell as `rings` gives them.
    Feed v is input v // fold while it is the turn of neuron v % fold. Slot `line * slices + s` holds wires of feeds
    with v % slices = s only. The wires of an input sum to its weight: usually one, in the region of its magnitude;
    where that is full, two in others. `out`: where to put them, with at least as many cells. Raises CapacityError
    when a cell's rows do not fit.
    """
    slots = np.empty((len(cells), sum(regions.lines) * slices), dtype=np.int32) if out is None else out[: len(cells)]
    failed = _assign(weights, cells, regions, slices, slots)
    if failed >= 0:
        raise CapacityError(f"cell {failed} does not fit into {regions.name}")
    return slots


def fitting_regions(matrices: tuple[np.ndarray, ...], slices: int, fold: int, lanes: int, format: str) -> Regions:
    """The smallest class whose regions hold all rows of `matrices`, int16 or int32 [rows, inputs] each."""
    largest = max(max(int(matrix.max()), -int(matrix.min())) for matrix in matrices)
    rows, inputs = matrices[0].shape
    cells = rings(rows, lanes, fold)
    for regions in classes(inputs, slices // fold, format, largest.bit_length()):
        if all(next(misfits(matrix, cells, regions, slices), None) is None for matrix in matrices):
            return regions
    raise AssertionError("the last class holds anything")


def misfits(matrix: np.ndarray, cells: np.ndarray, regions: Regions, slices: int) -> Iterator[int]:
    """Those of `cells` whose rows do not go into `regions`; slots are thrown away, some cells at a time."""
    step = max(1, WEIGHTS_AT_ONCE // (matrix.shape[1] * cells.shape[1]))
    slots = np.empty((step, sum(regions.lines) * slices), dtype=np.int32)
    start = 0
    while start < len(cells):
        some = cells[start : start + step]
        failed = _assign(matrix, some, regions, slices, slots[: len(some)])
        if failed >= 0:
            yield start + failed
        start += failed + 1 if failed >= 0 else step


def _assign(weights: np.ndarray, cells: np.ndarray, regions: Regions, slices: int, slots: np.ndarray) -> int:
    """Fill `slots`; the first cell that does not fit, or -1."""
    lines = np.array(regions.lines, dtype=np.int32)
    held = weights[cells[cells >= 0]]  # not all rows: cost grows with the cells at hand
    largest = max(int(held.max(initial=0)), -int(held.min(initial=0)))
    return _assign_cells(weights, cells, regions.part_table(largest), lines, _way_table(regions), slices, slots)


@lru_cache(maxsize=8)
def _way_table(regions: Regions) -> np.ndarray:
    """`Regions.spills` as int32 [regions, ways, 3]: two regions, and 1 where the second is subtracted; -1 for none."""
    most = max(len(ways) for ways in regions.spills)
    table = np.full((len(regions.spills), most, 3), -1, dtype=np.int32)
    for region, ways in enumerate(regions.spills):
        for number, way in enumerate(ways):
            table[region, number] = way
    return table


@njit(cache=True, nogil=True)
def _assign_cells(weights, cells, parts, lines, ways, slices, slots):
    """Fill `slots` (int32 [cells, slots]); the first cell that does not fit, or -1.

    parts: int8 [parts, magnitudes], the regions that sum to each magnitude, -1 for none; lines: int32 [regions].
    """
    inputs, fold = weights.shape[1], cells.shape[1]
    feeds = inputs * fold
    fed = np.empty(feeds, dtype=weights.dtype)
    first = np.cumsum(lines) - lines
    fill = np.empty((slices, len(lines)), dtype=np.int32)
    late = np.empty((3, len(parts) * feeds), dtype=np.int32)
    later = np.empty_like(late)
    for cell in range(len(cells)):
        for turn in range(fold):
            row = cells[cell, turn]
            for i in range(inputs):
                fed[i * fold + turn] = weights[row, i] if row >= 0 else 0
        fill[:] = 0
        slots[cell] = 0
        count = _place(slots[cell], fed, parts, fill, lines, first, slices, late)
        if count and not _spill(slots[cell], late, later, count, fill, lines, first, ways, slices, feeds):
            return cell
    return -1


@njit(cache=True, nogil=True)
def _place(slots, fed, parts, fill, lines, first, slices, late):
    """Put wires of one cell into their regions, in order of parts, then of feeds; how many found theirs full.

    fed: the weight of every feed. Those that are left are written to `late`, int32 [3, n]: region, slice and token.
    """
    count = 0
    for part in range(len(parts)):
        more = False
        slice_ = 0
        for feed in range(len(fed)):
            weight = np.int64(fed[feed])
            token = 1 + feed
            if weight < 0:
                weight = -weight
                token += len(fed)
            region = parts[part, weight]
            if region >= 0:
                more = more or (part + 1 < len(parts) and parts[part + 1, weight] >= 0)
                line = fill[slice_, region]
                if line < lines[region]:
                    slots[(first[region] + line) * slices + slice_] = token
                    fill[slice_, region] = line + 1
                else:
                    late[0, count], late[1, count], late[2, count] = region, slice_, token
                    count += 1
            slice_ += 1
            if slice_ == slices:
                slice_ = 0
        if not more:
            break
    return count


@njit(cache=True, nogil=True)
def _spill(slots, late, later, count, fill, lines, first, ways, slices, feeds):
    """Put `count` wires of one cell that found their region full into others of the same sum; whether that went.

    later: room for as many as `late` has. In a round every wire becomes two where both fit, or one that fits and one
    for the next round. Every step takes the wires in order.
    """
    for _ in range(SPILL_ROUNDS):
        pending = 0
        for region in range(len(lines) - 1, -1, -1):
            for wire in range(count):
                if late[0, wire] != region:
                    continue
                s, token = late[1, wire], late[2, wire]
                if fill[s, region] < lines[region]:
                    slots[(first[region] + fill[s, region]) * slices + s] = token
                    fill[s, region] += 1
                    late[0, wire] = -1
            for step in range(3 * ways.shape[1]):
                # first every way for both wires at once, then every way for its first, then its second wire alone
                if step < ways.shape[1]:
                    way, part = step, -1
                else:
                    way, part = (step - ways.shape[1]) // 2, (step - ways.shape[1]) % 2
                if ways[region, way, 0] >= 0:
                    pending = _split(
                        slots, late, later, count, pending, fill, lines, first, region, ways[region, way], part,
                        slices, feeds,
                    )  # fmt: skip
            for wire in range(count):
                if late[0, wire] == region:
                    return False
        if pending == 0:
            return True
        late[:, :pending] = later[:, :pending]
        count = pending
    return False


@njit(cache=True, nogil=True)
def _split(slots, late, later, count, pending, fill, lines, first, region, way, part, slices, feeds):
    """Make two of every wire of `region` that a `way` has room for; how many wires are then in `later`.

    way: a row of `_way_table`. part: -1 puts both in place, 0 the first and 1 the second alone, the other one later.
    """
    a, b, minus = way[0], way[1], way[2]
    put_a, put_b = part != 1, part != 0
    both = 2 if part < 0 and a == b else 1
    for wire in range(count):
        if late[0, wire] != region:
            continue
        s, token = late[1, wire], late[2, wire]
        other = token if minus == 0 else token - feeds if token > feeds else token + feeds
        if (put_a and fill[s, a] + both > lines[a]) or (put_b and fill[s, b] + both > lines[b]):
            continue
        if put_a:
            slots[(first[a] + fill[s, a]) * slices + s] = token
            fill[s, a] += 1
        if put_b:
            slots[(first[b] + fill[s, b]) * slices + s] = other
            fill[s, b] += 1
        if part >= 0:
            later[0, pending], later[1, pending] = (b, s) if put_a else (a, s)
            later[2, pending] = other if put_a else token
            pending += 1
        late[0, wire] = -1
    return pending
