"""Embedding style `packed`: metal cells whose regions are no larger than this array's own rows need.

What metal's provision for any checkpoint of a geometry costs is saved; with it goes the property that two checkpoints
differ in wires only.
"""

import hashlib

import numpy as np

from gen.arrays.capacity import Regions
from gen.arrays.metal import MetalGeometry, connections, of_regions, prefab
from gen.arrays.rings import fold_of, rings
from gen.arrays.slots import assign, fits, fitting_regions

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
    rows, inputs = matrices[0].shape
    fold = fold_of(rows, inputs, lanes, slices)
    cells = rings(rows, lanes, fold)
    regions = _fewest_lines(matrices, cells, slices)
    if regions is None:
        return of_regions(inputs, slices, fold, format, fitting_regions(matrices, slices, fold, lanes, format))
    most = max(_most(matrix, cells, regions, slices) for matrix in matrices)
    return MetalGeometry(inputs, slices, fold, format, regions, most)


def _fewest_lines(matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> Regions | None:
    """Regions of the trial with the fewest lines; None where not even the first one holds all rows."""
    counts, bits = _counts(matrices, cells, slices)
    mean, deviation, largest = counts.mean(axis=0), counts.std(axis=0), counts.max(axis=0)
    common = mean >= COMMON * matrices[0].shape[1] * cells.shape[1] / slices
    best = None
    for deviations in DEVIATIONS:
        wanted = np.where(common, np.ceil(mean + deviations * deviation), largest)
        regions = PackedRegions(bits, tuple(max(1, int(n)) for n in np.minimum(wanted, largest)), 0)
        if not all(fits(matrix, cells, regions, slices) for matrix in matrices):
            break
        best = regions
    return best


def _counts(matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> tuple[np.ndarray, int]:
    """Wires that every step of every cell has for every region, int64 [cells * slices, regions], and magnitude bits."""
    largest = max(int(np.abs(matrix).max()) for matrix in matrices)
    bits = max(2, largest.bit_length())
    empty = Regions(bits, (1,) * (2 * bits - 1), 0)
    table = empty.part_table(largest)
    counts = []
    for matrix in matrices:
        for cell in cells:
            held = np.where(cell < 0, 0, np.abs(matrix[cell].T))  # inputs by turns, as feeds go
            parts = table[:, held].reshape(-1, held.size // slices, slices)
            found = [(parts == region).sum(axis=(0, 1)) for region in range(len(empty.lines))]
            counts.append(np.stack(found, axis=-1))
    return np.concatenate(counts), bits


def _most(matrix: np.ndarray, cells: np.ndarray, regions: Regions, slices: int) -> int:
    """The largest sum of what the wires of one neuron add."""
    values = np.repeat(np.array(regions.values), np.array(regions.lines) * slices)
    fold, feeds, most = cells.shape[1], matrix.shape[1] * cells.shape[1], 1
    for cell in cells:
        slots = assign(matrix, cell[None], regions, slices)[0]
        turn = np.where(slots > 0, (slots - 1) % feeds % fold, fold)
        most = max(most, int(np.bincount(turn, weights=values, minlength=fold + 1)[:fold].max()))
    return most
