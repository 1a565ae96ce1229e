"""Style `packed`: metal cells whose regions are no larger than this array's own rows need.

What metal's provision for any checkpoint of a geometry costs is saved; with it goes the property that two checkpoints
differ in wires only.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hardloom.gen.arrays.capacity import Regions
from hardloom.gen.arrays.metal import Metal, MetalForm, NeuronKind, by_format
from hardloom.gen.arrays.rings import fold_of, rings
from hardloom.gen.arrays.slots import assign, misfits

__all__ = ["Packed"]

DEVIATIONS = (1.6, 1.4, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0)  # that common regions hold above their mean
COMMON = 0.06  # share of the inputs from which on a region's overflow may spill; rarer ones hold nearly all counts
NEARLY = 0.96  # share of the cells
MOST_WIDE = 0.1  # share of a group of cells that may be of a wider kind
MOST_KINDS = 8  # each is one more cell to be synthesized, drawn and compiled:
WEIGHTS_A_KIND, ROWS_A_KIND = 1 << 18, 128  # so many weights, and rows of a bank, share it
ROUNDS = 12  # after which groups of cells hardly change


class PackedRegions(Regions):
    """Regions of one array, named after their capacities."""

    @property
    def name(self) -> str:
        return f"p{hashlib.sha256(repr(self.lines).encode()).hexdigest()[:8]}b{self.bits}"


class Packed(Metal):
    """Metal with cells of this array's own."""

    name = "packed"

    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> MetalForm:
        """Metal form with the fewest lines of a few trials, those of each format by themselves.

        Cells are of several kinds in large arrays: rows differ in what their integers are multiples of. The few that
        fit into none (a row with one block of small weights has larger integers all over) are of a last kind, wide
        enough for them.
        """
        rows, inputs = matrices[0].shape
        cells = rings(rows, lanes, fold_of(rows, inputs, lanes, slices))
        kinds = {
            format: tuple(NeuronKind(format, regions) for regions in _fewest_lines(some, cells, slices))
            for format, some in by_format(matrices, formats).items()
        }
        made = MetalForm(inputs, slices, cells.shape[1], tuple(kinds[format] for format in formats), width, 1)
        return replace(made, most=max(_most(bank, matrix, cells, made) for bank, matrix in enumerate(matrices)))


class _Rings:
    """The rings of neurons of some matrices.

    Attributes
    ----------
    counts: wires that every step of every ring has for every region, int64 [banks * cells, slices, regions].
    bits: of a magnitude.
    """

    def __init__(self, matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> None:
        self.matrices, self.cells, self.slices = matrices, cells, slices
        self.counts, self.bits = _counts(matrices, cells, slices)

    @property
    def feeds_a_step(self) -> float:
        return self.matrices[0].shape[1] * self.cells.shape[1] / self.slices

    def holding(self, rings: np.ndarray) -> PackedRegions:
        """Regions in which `rings` fit without spilling."""
        return _regions(self.bits, self.counts[rings].max(axis=(0, 1)))

    def without(self, regions: PackedRegions, rings: np.ndarray) -> np.ndarray:
        """Those of `rings`, ascending, that do not fit into `regions`."""
        banks = np.split(rings, np.searchsorted(rings, np.arange(1, len(self.matrices)) * len(self.cells)))
        left = [
            some[list(misfits(matrix, self.cells[some % len(self.cells)], regions, self.slices))]
            for matrix, some in zip(self.matrices, banks, strict=True)
        ]
        return np.concatenate(left)


def _fewest_lines(matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> list[PackedRegions]:
    """Regions of every kind of cell, those of fewest lines first; the last holds what fits into none before it."""
    rings = _Rings(matrices, cells, slices)
    weights, rows = sum(matrix.size for matrix in matrices), len(matrices[0])
    kinds = max(1, min(MOST_KINDS, weights // WEIGHTS_A_KIND, rows // ROWS_A_KIND))
    usual = {_usual(rings, group) for group in _alike(rings.counts.max(axis=1), kinds)}
    left, taken = np.arange(len(rings.counts)), []
    for regions in sorted(usual, key=lambda regions: (sum(regions.lines), regions.lines)):
        rest = rings.without(regions, left)
        if len(rest) < len(left):
            taken.append(regions)
        left = rest
    return [*taken, rings.holding(left)] if len(left) else taken


def _alike(largest: np.ndarray, kinds: int) -> list[np.ndarray]:
    """Rings in groups, at most `kinds`, of like needs: medians that all rings are assigned to and follow (k-medians).

    largest: int64 [rings, regions], lines of every region that a ring fills.
    """
    centres = largest[:1]
    for _ in range(kinds - 1):
        centres = np.concatenate([centres, largest[[_distances(largest, centres).min(axis=1).argmax()]]])
    for _ in range(ROUNDS):
        nearest = _distances(largest, centres).argmin(axis=1)
        groups = [np.flatnonzero(nearest == kind) for kind in np.unique(nearest)]
        centres = np.stack([np.median(largest[group], axis=0) for group in groups])
    return groups


def _distances(largest: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Lines between every ring and every centre, [rings, centres]."""
    return np.stack([np.abs(largest - centre).sum(axis=1) for centre in centres], axis=1)


def _usual(rings: _Rings, group: np.ndarray) -> PackedRegions:
    """Regions for most of a group of rings, of a few trials those of fewest lines."""
    best, least = rings.holding(group), math.inf
    for usual in _trials(rings.counts[group], rings.bits, rings.feeds_a_step):
        over = rings.without(usual, group)
        if len(over) > MOST_WIDE * len(group):
            break
        wide = sum(rings.holding(over).lines) if len(over) else 0
        lines = sum(usual.lines) * (len(group) - len(over)) + wide * len(over)
        if lines <= least:
            best, least = usual, lines
    return best


def _trials(counts: np.ndarray, bits: int, feeds_a_step: float) -> Iterator[PackedRegions]:
    """Regions of ever fewer lines. counts: int64 [cells, slices, regions]."""
    mean, deviation = counts.mean(axis=(0, 1)), counts.std(axis=(0, 1))
    nearly = np.quantile(counts.max(axis=1), NEARLY, axis=0, method="higher")
    for deviations in DEVIATIONS:
        wanted = np.where(mean >= COMMON * feeds_a_step, np.ceil(mean + deviations * deviation), nearly)
        yield _regions(bits, np.minimum(wanted, counts.max(axis=(0, 1))))


def _regions(bits: int, lines: np.ndarray) -> PackedRegions:
    return PackedRegions(bits, tuple(max(1, int(n)) for n in lines), 0)


def _counts(matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> tuple[np.ndarray, int]:
    """Wires that every step of every cell has for every region, int64 [banks * cells, slices, regions], and magnitude
    bits."""
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
    return np.stack(counts), bits


def _most(bank: int, matrix: np.ndarray, cells: np.ndarray, form: MetalForm) -> int:
    """The largest sum of what the wires of one neuron add."""
    feeds, fold, most = form.feeds, form.fold, 1
    for cell, kind in zip(cells, form.kind_of_cells(bank, matrix, cells), strict=True):
        regions = form.cells[bank][kind].regions
        values = np.repeat(np.array(regions.values), np.array(regions.lines) * form.slices)
        slots = assign(matrix, cell[None], regions, form.slices)[0]
        turn = np.where(slots > 0, (slots - 1) % feeds % fold, fold)
        most = max(most, int(np.bincount(turn, weights=values, minlength=fold + 1)[:fold].max()))
    return most
