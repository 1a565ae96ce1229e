"""Embedding style `packed`: metal cells whose regions are no larger than this array's own rows need.

What metal's provision for any checkpoint of a geometry costs is saved; with it goes the property that two checkpoints
differ in wires only.
"""

import hashlib
import math

import numpy as np

from gen.arrays.capacity import CapacityError, Regions
from gen.arrays.metal import MetalGeometry, connections, prefab
from gen.arrays.slots import assign, fitting_regions

__all__ = ["PackedRegions", "connections", "geometry", "prefab"]

DEVIATIONS = (1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # that common regions hold above their mean
COMMON = 0.06  # share of the inputs from which on a region's overflow may spill; rarer ones hold their largest count


class PackedRegions(Regions):
    """Regions of one array, named after their capacities."""

    @property
    def name(self) -> str:
        return f"p{hashlib.sha256(repr(self.lines).encode()).hexdigest()[:8]}b{self.bits}"


def geometry(matrices: tuple[np.ndarray, ...], slices: int, format: str, lanes: int) -> MetalGeometry:
    """Metal geometry with the fewest lines of a few trials into which all rows of ``matrices`` still fit."""
    counts, bits = _counts(matrices, slices)
    mean, deviation, largest = counts.mean(axis=0), counts.std(axis=0), counts.max(axis=0)
    common = mean >= COMMON * matrices[0].shape[1] / slices
    best = None
    for deviations in DEVIATIONS:
        wanted = np.where(common, np.ceil(mean + deviations * deviation), largest)
        lines = tuple(max(1, int(n)) for n in np.minimum(wanted, largest))
        regions = PackedRegions(bits, lines, 0)
        try:
            for matrix in matrices:
                assign(matrix, regions, slices)
        except CapacityError:
            break
        best = regions
    return MetalGeometry(matrices[0].shape[1], slices, format, best or fitting_regions(matrices, slices, format))


def _counts(matrices: tuple[np.ndarray, ...], slices: int) -> tuple[np.ndarray, int]:
    """Wires that every slice of every row has for every region, int64 [rows * slices, regions], and magnitude bits."""
    largest = max(int(np.abs(matrix).max()) for matrix in matrices)
    bits = max(2, math.ceil(math.log2(largest + 1)) if largest else 1)
    empty = Regions(bits, (1,) * (2 * bits - 1), 0)
    table = empty.part_table(largest)
    counts = []
    for matrix in matrices:
        rows, inputs = matrix.shape
        parts = table[:, np.abs(matrix)].reshape(-1, rows, inputs // slices, slices)
        for start in range(0, rows, 64):
            some = parts[:, start : start + 64]
            found = [(some == region).sum(axis=(0, 2)) for region in range(len(empty.lines))]
            counts.append(np.stack(found, axis=-1).reshape(-1, len(found)))
    return np.concatenate(counts), bits
