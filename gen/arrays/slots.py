"""Which wire enters which slot: weights to slots of neuron cells, vectorised, exactly, with spill."""

import numpy as np

from gen.arrays.capacity import CapacityError, Regions, classes

__all__ = ["assign", "fitting_regions", "overflowing_rows"]


def assign(weights: np.ndarray, regions: Regions, slices: int) -> np.ndarray:
    """Slots of neuron cells, int32 [rows, slots]: 0 no wire, 1 + i wire p of input i, 1 + inputs + i its wire n.

    weights: int32 [rows, inputs]. Slot ``line * slices + i % slices`` holds wires of input i only. The wires of an
    input sum to its weight: usually one, in the region of its magnitude; where that is full, two in others.
    Raises CapacityError when a row does not fit.
    """
    assignment = _Assignment(weights, regions, slices)
    if assignment.failed.size:
        raise CapacityError(f"row {assignment.failed[0]} does not fit into {regions.name}")
    return assignment.slots


def overflowing_rows(weights: np.ndarray, regions: Regions, slices: int) -> np.ndarray:
    """Row numbers of ``weights`` that need spill in ``regions``; all others fit as they are."""
    rows, inputs = weights.shape
    parts = regions.parts(np.abs(weights)).reshape(-1, rows, inputs // slices, slices)
    full = np.zeros(rows, dtype=bool)
    for region, lines in enumerate(regions.lines):
        full |= ((parts == region).sum(axis=(0, 2)) > lines).any(axis=1)
    return np.flatnonzero(full)


def fitting_regions(matrices: tuple[np.ndarray, ...], slices: int, format: str) -> Regions:
    """The smallest class whose regions hold every row of ``matrices``, int32 [rows, inputs] each."""
    largest = max(int(np.abs(matrix).max()) for matrix in matrices)
    inputs = matrices[0].shape[1]
    for regions in classes(inputs, slices, format, largest.bit_length()):
        try:
            for matrix in matrices:
                rows = overflowing_rows(matrix, regions, slices)
                assign(matrix[rows], regions, slices)
        except CapacityError:
            continue
        return regions
    raise AssertionError("the last class holds anything")


class _Assignment:
    """The state of one pass: slots taken, and the fill of every (row, slice, region)."""

    def __init__(self, weights: np.ndarray, regions: Regions, slices: int) -> None:
        self.regions, self.slices = regions, slices
        rows, inputs = weights.shape
        self.first = np.concatenate([[0], np.cumsum(regions.lines)])
        self.slots = np.zeros((rows, int(self.first[-1]) * slices), dtype=np.int32)
        self.fill = np.zeros((rows, slices, len(regions.lines)), dtype=np.int32)
        tokens = np.where(weights < 0, inputs + 1, 1) + np.arange(inputs, dtype=np.int32)
        self.tokens = tokens.reshape(rows, inputs // slices, slices)
        self.inputs = inputs
        self.failed = np.zeros(0, dtype=np.int64)
        excess: dict[int, list[np.ndarray]] = {}
        for part in regions.parts(np.abs(weights)):
            for region in range(len(regions.lines)):
                excess.setdefault(region, []).append(self._place(part.reshape(self.tokens.shape), region))
        for region in sorted(excess, reverse=True):
            self._spill(region, np.concatenate(excess[region], axis=1))

    def _place(self, part: np.ndarray, region: int) -> np.ndarray:
        """Fill ``region`` with the inputs whose ``part`` it is; those too many come back: [3, n] row, slice, token."""
        wanted = part == region
        if not wanted.any():
            return np.zeros((3, 0), dtype=np.int64)
        rank = np.cumsum(wanted, axis=1, dtype=np.int32) - 1 + self.fill[:, None, :, region]
        row, item, slice_ = np.nonzero(wanted)
        line, token = rank[row, item, slice_], self.tokens[row, item, slice_]
        self.fill[:, :, region] = np.minimum(self.fill[:, :, region] + wanted.sum(axis=1), self.regions.lines[region])
        fits = line < self.regions.lines[region]
        self._put(region, row[fits], slice_[fits], line[fits], token[fits])
        return np.stack([row[~fits], slice_[~fits], token[~fits]])

    def _put(self, region: int, row: np.ndarray, slice_: np.ndarray, line: np.ndarray, token: np.ndarray) -> None:
        self.slots[row, (self.first[region] + line) * self.slices + slice_] = token

    def _spill(self, region: int, items: np.ndarray) -> None:
        """Put [3, n] items that found ``region`` full into pairs of others with the same sum."""
        for a, b, minus in self.regions.spills[region]:
            if not items.size:
                break
            row, slice_, token = items
            group = row * self.slices + slice_
            order = np.argsort(group, kind="stable")
            row, slice_, token, group = row[order], slice_[order], token[order], group[order]
            rank = np.arange(len(group)) - np.searchsorted(group, group)
            fill = self.fill[row, slice_]
            free_a, free_b = (self.regions.lines[r] - fill[:, r] for r in (a, b))
            fits = rank < (free_a // 2 if a == b else np.minimum(free_a, free_b))
            opposite = np.where(token > self.inputs, token - self.inputs, token + self.inputs)
            places = (
                ((a, 2 * rank, token), (a, 2 * rank + 1, token))
                if a == b
                else ((a, rank, token), (b, rank, opposite if minus else token))
            )
            for r, offset, wire in places:
                self._put(r, row[fits], slice_[fits], (fill[:, r] + offset)[fits], wire[fits])
                np.add.at(self.fill, (row[fits], slice_[fits], r), 1)
            items = np.stack([row[~fits], slice_[~fits], token[~fits]])
        self.failed = np.union1d(self.failed, items[0])
