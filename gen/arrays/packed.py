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
MOST_WIDE = 0.1  # share of the cells that may be of the second kind


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

        The few cells that do not fit into the usual one (a row with one block of small weights has larger integers all
        over) are of a second kind, wide enough for each of them.
        """
        rows, inputs = matrices[0].shape
        cells = rings(rows, lanes, fold_of(rows, inputs, lanes, slices))
        kinds = {
            format: tuple(NeuronKind(format, regions) for regions in _fewest_lines(some, cells, slices))
            for format, some in by_format(matrices, formats).items()
        }
        made = MetalForm(inputs, slices, cells.shape[1], tuple(kinds[format] for format in formats), width, 1)
        return replace(made, most=max(_most(bank, matrix, cells, made) for bank, matrix in enumerate(matrices)))


def _fewest_lines(matrices: tuple[np.ndarray, ...], cells: np.ndarray, slices: int) -> list[PackedRegions]:
    """Regions of the usual cell, and of a wide one where there is one."""
    counts, bits = _counts(matrices, cells, slices)
    best, least = [_regions(bits, counts.max(axis=(0, 1)))], math.inf
    for usual in _trials(counts, bits, matrices[0].shape[1] * cells.shape[1] / slices):
        over = [b * len(cells) + cell for b, m in enumerate(matrices) for cell in misfits(m, cells, usual, slices)]
        if len(over) > MOST_WIDE * len(counts):
            break
        wide = [_regions(bits, counts[over].max(axis=(0, 1)))] if over else []
        lines = sum(usual.lines) * (len(counts) - len(over)) + sum(sum(regions.lines) for regions in wide) * len(over)
        if lines <= least:
            best, least = [usual, *wide], lines
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
