"""The form of a `shared` array: which codes its weights have, and how many address lines go into a group."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np
from numba import njit

from hardloom.gen.arrays.serial import SerialForm, magnitudes_of, serial_fold, width_of
from hardloom.golden.quantization.formats import format_rules

__all__ = ["BLOCK", "SharedForm", "form_of", "smallest_exponent"]

BLOCK = 32  # inputs that may have an exponent in common
MOST = 12  # addresses of a group
MERGE, SUBSET = 0.56, 1.08  # NAND2s that one more line in an OR takes, and one more subset of a group
REST = 65  # NAND2s of a unit behind each of its planes
CROSSING = 0.013  # NAND2s on whose area metal has room for a plane and a subset to cross (docs/estimate.md, Wires)


@dataclass(frozen=True)
class SharedForm(SerialForm):
    """Form of a shared array; its magnitudes are those of its weights over 2^exponent.

    shifts: exponents of the blocks of 32 inputs, ascending from 0. group: addresses whose subsets are made.
    largest: of a block's magnitudes over 2^exponent, in each bank.
    """

    unit = "shared"

    shifts: tuple[int, ...]
    group: int
    largest: tuple[int, ...]

    @property
    def exponents(self) -> tuple[int, ...]:
        return () if self.shifts == (0,) else self.shifts

    @cached_property
    def code_bits(self) -> int:
        """Bits of a magnitude's code: 0, then its place among `magnitudes`. The sign is one more plane."""
        return len(self.magnitudes).bit_length()

    @property
    def exponent_bits(self) -> int:
        """Planes of a unit for the place of the exponent among `shifts`."""
        return (len(self.shifts) - 1).bit_length()

    @property
    def planes(self) -> int:
        """Planes of a unit: of every column, then of the exponent."""
        return self.columns * (self.code_bits + 1) + self.exponent_bits

    @property
    def groups(self) -> tuple[int, ...]:
        """Addresses of every group."""
        rest = self.slices % self.group
        return (self.group,) * (self.slices // self.group) + ((rest,) if rest else ())

    @property
    def subset_modules(self) -> dict[str, int]:
        """Modules that make the subsets of a group, with the addresses of each."""
        return {f"shared_subsets_k{size}": size for size in sorted(set(self.groups))}


_Codes = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Neurons of a unit, magnitudes and shifts."""


class _Survey(NamedTuple):
    """A matrix at a glance.

    sums: of the magnitudes of every row, int64; plain: whether each magnitude but 0 occurs; relative: the same over
    2^exponent of the block; exponents: whether each occurs in a block that is not all 0. sound: the exponents divide.
    """

    sums: np.ndarray
    plain: np.ndarray
    relative: np.ndarray
    exponents: np.ndarray
    sound: bool


def form_of(
    matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
) -> SharedForm:
    """The cheaper form of two: codes of the weights, or of the weights over 2^exponent of their block, for units whose
    columns are all in one block.

    matrices: int16 or int32 [rows, inputs], each of a format; width: bits of an input.
    Raises UserError where they have too many magnitudes.
    """
    (rows, inputs), wide = matrices[0].shape, matrices[0].shape[1] // slices
    largest = tuple(format_rules(format).units for format in formats)
    surveys = [_Survey(*_survey(matrix, BLOCK, most)) for matrix, most in zip(matrices, largest, strict=True)]
    most = serial_fold(rows, inputs, slices, lanes)
    codes: list[_Codes] = [(most, _places([survey.plain for survey in surveys]), (0,))]
    if inputs % BLOCK == 0 and BLOCK % wide == 0 and all(survey.sound for survey in surveys):
        exponents = _places([survey.exponents for survey in surveys])
        within = gcd(most, BLOCK // wide)
        codes.append((within, _places([survey.relative for survey in surveys]), exponents or (0,)))

    def planes(fold: int, magnitudes: Sequence[int], shifts: Sequence[int]) -> int:
        """Of all units, where a unit has so many neurons."""
        units = len(matrices) * lanes * -(-rows // (lanes * fold))
        return units * _planes(fold * wide, magnitudes, shifts)

    fold, found, shifts = min(codes, key=lambda code: planes(*code))
    magnitudes, columns = magnitudes_of("shared", found), fold * wide
    sums = (int(survey.sums.max()) for survey in surveys)
    acc_width = width_of(sums, magnitudes, columns, width, shifts[-1])
    group = _best_group(slices, planes(fold, magnitudes, shifts))
    return SharedForm(slices, fold, columns, width, magnitudes, acc_width, shifts, group, largest)


def _planes(columns: int, magnitudes: Sequence[int], shifts: Sequence[int]) -> int:
    """Planes of a unit: of every column its code's bits and the sign, then of the exponent."""
    return columns * (len(magnitudes).bit_length() + 1) + (len(shifts) - 1).bit_length()


def _places(seen: list[np.ndarray]) -> tuple[int, ...]:
    """Where any of the arrays of bool `seen` is true."""
    return tuple(sorted({int(place) for array in seen for place in np.flatnonzero(array)}))


def _best_group(slices: int, planes: int) -> int:
    """Addresses of a group that make an array of `planes` planes smallest: its gates, or its wires if these take more.

    Every plane crosses the lines of all subsets.
    """

    def area(size: int) -> float:
        groups = -(-slices // size)
        merging = planes * groups * (1 - 0.5**size) * MERGE + groups * SUBSET * (1 << size)
        return max(merging + planes * REST, planes * groups * CROSSING * (1 << size))

    return min(range(1, min(MOST, slices) + 1), key=area)


@njit(cache=True, nogil=True)
def smallest_exponent(largest, most):
    """The smallest exponent with `largest` at most `most` times 2 to its power."""
    exponent = 0
    while (most << exponent) < largest:
        exponent += 1
    return exponent


@njit(cache=True, nogil=True)
def _survey(matrix, block, most):
    """The fields of `_Survey` for blocks of `block` inputs, a short one at the end of a row maybe."""
    rows, inputs = matrix.shape
    sums, sound = np.zeros(rows, dtype=np.int64), True
    plain, relative = np.zeros(1, dtype=np.bool_), np.zeros(most + 1, dtype=np.bool_)
    exponents = np.zeros(64, dtype=np.bool_)
    for row in range(rows):
        for start in range(0, inputs, block):
            largest, any_ = np.int64(0), np.int64(0)
            for i in range(start, min(inputs, start + block)):
                magnitude = abs(np.int64(matrix[row, i]))
                largest, any_ = max(largest, magnitude), any_ | magnitude
                sums[row] += magnitude
            if largest == 0:
                continue
            if largest >= len(plain):
                longer = np.zeros(largest + 1, dtype=np.bool_)
                longer[: len(plain)] = plain
                plain = longer
            exponent = smallest_exponent(largest, most)
            exponents[exponent] = True
            sound = sound and any_ & ((1 << exponent) - 1) == 0
            for i in range(start, min(inputs, start + block)):
                magnitude = abs(np.int64(matrix[row, i]))
                plain[magnitude] = True
                relative[magnitude >> exponent] = True
    plain[0] = relative[0] = False
    return sums, plain, relative, exponents, sound
