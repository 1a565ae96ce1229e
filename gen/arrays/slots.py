"""Which wire enters which slot: weights to slots of neuron cells, exactly, with spill; compiled, one pass a row."""

from functools import lru_cache

import numpy as np
from numba import njit

from gen.arrays.capacity import CapacityError, Regions, classes

__all__ = ["assign", "fitting_regions"]

SPILL_ROUNDS = 8
ROWS_AT_ONCE = 1 << 17  # weights assigned at once, so that their slots stay in the cache


def assign(weights: np.ndarray, regions: Regions, slices: int, out: np.ndarray | None = None) -> np.ndarray:
    """Slots of neuron cells, int32 [rows, slots]: 0 no wire, 1 + i wire p of input i, 1 + inputs + i its wire n.

    weights: int16 or int32 [rows, inputs]. Slot ``line * slices + i % slices`` holds wires of input i only. The wires
    of an input sum to its weight: usually one, in the region of its magnitude; where that is full, two in others.
    ``out``: where to put them, with at least as many rows. Raises CapacityError when a row does not fit.
    """
    lines = np.array(regions.lines, dtype=np.int32)
    slots = np.empty((len(weights), int(lines.sum()) * slices), dtype=np.int32) if out is None else out[: len(weights)]
    largest = max(int(weights.max(initial=0)), -int(weights.min(initial=0)))
    parts, ways = regions.part_table(largest), _way_table(regions)
    failed = _assign_rows(weights, parts, lines, ways, slices, slots)
    if failed >= 0:
        raise CapacityError(f"row {failed} does not fit into {regions.name}")
    return slots


def fitting_regions(matrices: tuple[np.ndarray, ...], slices: int, format: str) -> Regions:
    """The smallest class whose regions hold every row of ``matrices``, int16 or int32 [rows, inputs] each."""
    largest = max(max(int(matrix.max()), -int(matrix.min())) for matrix in matrices)
    inputs = matrices[0].shape[1]
    step = max(1, ROWS_AT_ONCE // inputs)
    for regions in classes(inputs, slices, format, largest.bit_length()):
        slots = np.empty((step, sum(regions.lines) * slices), dtype=np.int32)
        try:
            for matrix in matrices:
                for start in range(0, len(matrix), step):
                    assign(matrix[start : start + step], regions, slices, slots)
        except CapacityError:
            continue
        return regions
    raise AssertionError("the last class holds anything")


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
def _assign_rows(weights, parts, lines, ways, slices, slots):
    """Fill ``slots`` (int32 [rows, slots]); the first row that does not fit, or -1.

    Wires go to their regions in order of parts, then of inputs; those that find theirs full spill.
    parts: int8 [parts, magnitudes], the regions that sum to each magnitude, -1 for none; lines: int32 [regions].
    """
    rows, inputs = weights.shape
    regions = len(lines)
    first = np.cumsum(lines) - lines
    fill = np.empty((slices, regions), dtype=np.int32)
    late = np.empty((3, len(parts) * inputs), dtype=np.int32)
    later = np.empty_like(late)
    for row in range(rows):
        fill[:] = 0
        slots[row] = 0
        count = 0
        for part in range(len(parts)):
            more = False
            slice_ = 0
            for i in range(inputs):
                weight = np.int64(weights[row, i])
                token = 1 + i
                if weight < 0:
                    weight = -weight
                    token += inputs
                region = parts[part, weight]
                if region >= 0:
                    more = more or (part + 1 < len(parts) and parts[part + 1, weight] >= 0)
                    line = fill[slice_, region]
                    if line < lines[region]:
                        slots[row, (first[region] + line) * slices + slice_] = token
                        fill[slice_, region] = line + 1
                    else:
                        late[0, count], late[1, count], late[2, count] = region, slice_, token
                        count += 1
                slice_ += 1
                if slice_ == slices:
                    slice_ = 0
            if not more:
                break
        if count and not _spill(slots[row], late, later, count, fill, lines, first, ways, slices, inputs):
            return row
    return -1


@njit(cache=True, nogil=True)
def _spill(slots, late, later, count, fill, lines, first, ways, slices, inputs):
    """Put ``count`` wires of one row that found their region full into others of the same sum; whether that went.

    late: int32 [3, n], each a region, slice and token; later: room for as many. In a round every wire becomes two where
    both fit, or one that fits and one for the next round. Every step takes the wires in order.
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
                a, b, minus = ways[region, way, 0], ways[region, way, 1], ways[region, way, 2]
                if a < 0:
                    continue
                for wire in range(count):
                    if late[0, wire] != region:
                        continue
                    s, token = late[1, wire], late[2, wire]
                    other = token if minus == 0 else token - inputs if token > inputs else token + inputs
                    put_a, put_b = part != 1, part != 0
                    both = 2 if part < 0 and a == b else 1
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
            for wire in range(count):
                if late[0, wire] == region:
                    return False
        if pending == 0:
            return True
        late[:, :pending] = later[:, :pending]
        count = pending
    return False
