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
    need = np.zeros((len(weights) * slices, len(regions.lines) + 1), dtype=np.int64)
    for part in regions.parts(np.abs(weights)):
        need += _histogram(_by_slice(part, slices), len(regions.lines))
    full = (need[:, 1:] > np.array(regions.lines)).any(axis=1)
    return np.flatnonzero(full.reshape(len(weights), slices).any(axis=1))


def _by_slice(values: np.ndarray, slices: int) -> np.ndarray:
    """[rows, inputs] to [rows * slices, inputs / slices]."""
    rows, inputs = values.shape
    return values.reshape(rows, inputs // slices, slices).transpose(0, 2, 1).reshape(rows * slices, inputs // slices)


def _histogram(part: np.ndarray, regions: int) -> np.ndarray:
    """How often each of -1, 0, ... regions - 1 occurs in every line of ``part``: int64 [lines, 1 + regions]."""
    groups, bins = len(part), regions + 1
    numbers = np.arange(groups)[:, None] * bins + part + 1
    return np.bincount(numbers.ravel(), minlength=groups * bins).reshape(groups, bins)


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
        self.inputs = inputs
        self.lines = np.array(regions.lines)
        self.first = np.cumsum(self.lines) - self.lines
        self.slots = np.zeros((rows, int(self.lines.sum()) * slices), dtype=np.int32)
        self.fill = np.zeros((rows, slices, len(self.lines)), dtype=np.int32)
        tokens = np.where(weights < 0, inputs + 1, 1) + np.arange(inputs, dtype=np.int32)
        self.tokens = _by_slice(tokens, slices)
        excess = [self._place(_by_slice(part, slices)) for part in regions.parts(np.abs(weights))]
        self.failed = self._spill(np.concatenate([np.zeros((4, 0), dtype=np.int64), *excess], axis=1))

    def _place(self, part: np.ndarray) -> np.ndarray:
        """Wire every input to the region in ``part`` (-1: to none), int8 [rows * slices, inputs / slices], in order of
        inputs; those that find it full come back as wires (see `_spill`)."""
        groups, regions = len(part), len(self.lines)
        fill = self.fill.reshape(groups, regions)
        order = np.argsort(part, axis=1, kind="stable")
        group, region = np.arange(groups)[:, None], np.take_along_axis(part, order, axis=1)
        counts = _histogram(part, regions)
        start = np.cumsum(counts, axis=1) - counts
        start[:, 1:] -= fill
        line = np.arange(part.shape[1]) - np.take_along_axis(start, region.astype(np.int64) + 1, axis=1)
        fits = (region >= 0) & (line < self.lines[region])
        place = group // self.slices * self.slots.shape[1] + (self.first[region] + line) * self.slices
        token = np.take_along_axis(self.tokens, order, axis=1)
        self.slots.reshape(-1)[(place + group % self.slices)[fits]] = token[fits]
        fill[:] = np.minimum(fill + counts[:, 1:], self.lines)
        late, item = np.nonzero((region >= 0) & ~fits)
        return np.stack([region[late, item], late // self.slices, late % self.slices, token[late, item]])

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
