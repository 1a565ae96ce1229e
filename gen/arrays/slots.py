"""Which wire enters which slot: weights to slots of neuron cells, vectorised, exactly, with spill."""

import numpy as np

from gen.arrays.capacity import CapacityError, Regions, classes

SPILL_ROUNDS = 8

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
        excess = [np.zeros((4, 0), dtype=np.int64)]
        for part in regions.parts(np.abs(weights)):
            for region in range(len(regions.lines)):
                excess.append(self._place(part.reshape(self.tokens.shape), region))
        self.failed = self._spill(np.concatenate(excess, axis=1))

    def _place(self, part: np.ndarray, region: int) -> np.ndarray:
        """Fill ``region`` with the inputs whose ``part`` it is; those too many come back as wires (see `_spill`)."""
        wanted = part == region
        if not wanted.any():
            return np.zeros((4, 0), dtype=np.int64)
        rank = np.cumsum(wanted, axis=1, dtype=np.int32) - 1 + self.fill[:, None, :, region]
        row, item, slice_ = np.nonzero(wanted)
        line, token = rank[row, item, slice_], self.tokens[row, item, slice_]
        self.fill[:, :, region] = np.minimum(self.fill[:, :, region] + wanted.sum(axis=1), self.regions.lines[region])
        fits = line < self.regions.lines[region]
        self._put(region, row[fits], slice_[fits], line[fits], token[fits])
        row, slice_, token = row[~fits], slice_[~fits], token[~fits]
        return np.stack([np.full(len(row), region), row, slice_, token])

    def _put(self, region: int, row: np.ndarray, slice_: np.ndarray, line: np.ndarray, token: np.ndarray) -> None:
        self.slots[row, (self.first[region] + line) * self.slices + slice_] = token

    def _spill(self, wires: np.ndarray) -> np.ndarray:
        """Put wires that found their region full into others with the same sum; numbers of rows where that failed.

        wires: int64 [4, n], each a region, row, slice and token. In a round every wire becomes two where both fit, or
        one that fits and one for the next round.
        """
        stuck = []
        for _ in range(SPILL_ROUNDS):
            later = [wires[:, :0]]
            for region in range(len(self.regions.lines) - 1, -1, -1):
                _, here = self._fit(wires[:, wires[0] == region], [(region, False)])
                for a, b, minus in self.regions.spills[region]:
                    _, here = self._fit(here, [(a, False), (b, minus)])
                for a, b, minus in self.regions.spills[region]:
                    for now, (rest, flip) in (((a, False), (b, minus)), ((b, minus), (a, False))):
                        placed, here = self._fit(here, [now])
                        _, row, slice_, token = placed
                        later.append(np.stack([np.full_like(row, rest), row, slice_, self._flip(token, flip)]))
                stuck.append(here)
            wires = np.concatenate(later, axis=1)
            if not wires.size:
                break
        return np.unique(np.concatenate([*stuck, wires], axis=1)[1])

    def _flip(self, token: np.ndarray, minus: bool) -> np.ndarray:
        """Tokens of the other sign of the same inputs, if ``minus``."""
        return np.where(token > self.inputs, token - self.inputs, token + self.inputs) if minus else token

    def _fit(self, wires: np.ndarray, targets: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
        """Put each of ``wires`` into all ``targets`` (region, sign flipped) at once where all have room; the wires
        that were put, and those that were not."""
        if not wires.size:
            return wires, wires
        wires = wires[:, np.lexsort((wires[2], wires[1]))]
        _, row, slice_, token = wires
        group = row * self.slices + slice_
        rank = np.arange(len(group)) - np.searchsorted(group, group)
        regions = [region for region, _ in targets]
        fill = self.fill[row, slice_]
        fits = np.ones(len(group), dtype=bool)
        for region in regions:
            fits &= rank < (self.regions.lines[region] - fill[:, region]) // regions.count(region)
        for place, (region, minus) in enumerate(targets):
            line = fill[:, region] + rank * regions.count(region) + regions[:place].count(region)
            self._put(region, row[fits], slice_[fits], line[fits], self._flip(token, minus)[fits])
            np.add.at(self.fill, (row[fits], slice_[fits], region), 1)
        return wires[:, fits], wires[:, ~fits]
