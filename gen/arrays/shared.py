"""Embedding style `shared`: an address-serial logic ROM whose neurons share the ORs of their address lines.

Address lines are cut into groups of k; the ORs of all subsets of a group are made once for the whole array. A bit of
the weights' codes, over all addresses, is then one such line a group. The exponent that a block of weights has in
common is read once a unit, not once a weight.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from gen.arrays import ports
from gen.arrays.multiplier import column_names, cover, digits, mac_names
from gen.arrays.plan import ArrayPlan
from gen.arrays.serial import (
    Names,
    SerialGeometry,
    array_text,
    magnitudes_of,
    prefab_files,
    ranks_of,
    serial_fold,
    width_of,
)

__all__ = ["SharedGeometry", "connections", "geometry", "prefab"]

BLOCK = 32  # inputs that may have an exponent in common
LARGEST = 12  # of a block's magnitudes over 2^exponent: those of e2m1, in halves
MOST = 12  # addresses of a group
MERGE, SUBSET = 0.56, 1.08  # NAND2s that one more line in an OR takes, and one more subset of a group
STRIDE, PLANES_A_WORD = 12, 5  # planes of a group of addresses in a word of 64 bits
TERMS_A_LINE = 16
WORD = 8  # characters of the longest part of a term
NEW_LINE, COMMA, NONE = ord("\n"), ord(","), tuple(b"1'b1,")


@dataclass(frozen=True)
class SharedGeometry(SerialGeometry):
    """Geometry of a shared array; its magnitudes are those of its weights over 2^exponent.

    shifts: exponents of the blocks of 32 inputs, ascending from 0. group: addresses whose subsets are made.
    """

    shifts: tuple[int, ...]
    group: int

    @property
    def style(self) -> str:
        return "shared"

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
    def readers(self) -> tuple[str, ...]:
        return tuple(_subsets(size) for size in sorted(set(self.groups), reverse=True))


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


def geometry(matrices: tuple[np.ndarray, ...], slices: int, format: str, lanes: int) -> SharedGeometry:
    """Geometry of ``matrices``, int32 [rows, inputs] each. Raises UserError where they do not go into this style."""
    rows, inputs = matrices[0].shape
    fold = serial_fold(rows, inputs, slices, lanes)
    columns = fold * inputs // slices
    surveys = [_Survey(*_survey(matrix, BLOCK, LARGEST)) for matrix in matrices]
    codes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [(_places([survey.plain for survey in surveys]), (0,))]
    if inputs % BLOCK == 0 and BLOCK % columns == 0 and all(survey.sound for survey in surveys):
        exponents = _places([survey.exponents for survey in surveys])
        codes.append((_places([survey.relative for survey in surveys]), exponents or (0,)))
    found, shifts = min(codes, key=lambda code: _planes(columns, *code))
    magnitudes = magnitudes_of("shared", found)
    width = width_of((int(survey.sums.max()) for survey in surveys), magnitudes, columns, shifts[-1])
    units = len(matrices) * lanes * -(-rows // (lanes * fold))
    group = _best_group(slices, units * _planes(columns, magnitudes, shifts))
    return SharedGeometry(slices, fold, columns, magnitudes, width, shifts, group)


def prefab(plan: ArrayPlan) -> Iterator[tuple[str, str, Names]]:
    """Module, template and template names of what single weights do not touch."""
    shared = _geometry(plan)
    yield from prefab_files(plan, _mac_names(shared))
    for size in sorted(set(shared.groups)):
        yield _subsets(size), "shared_subsets", {"name": _subsets(size), "size": size, "low": -(-size // 2)}


def connections(plan: ArrayPlan) -> Iterator[bytes]:
    """Text of the array module, a unit at a time: shell, subsets of address lines, units; a line a plane and group."""
    shared = _geometry(plan)
    spread, shifts = _spread(shared), np.array(shared.shifts)
    groups, group_lengths, subsets, subset_lengths = _tokens(shared)
    exponents = _apart(range(len(shifts)))[:, 0]
    planes = np.empty((shared.planes, len(shared.groups)), dtype=np.uint16)
    text = np.empty((2 * planes.size + len(planes) + 1) * WORD, dtype=np.uint8)

    def pins(matrix: np.ndarray) -> Iterator[memoryview]:
        ranks = _ranks(matrix, BLOCK, LARGEST, shifts)
        for unit in range(ranks_of(plan) * plan.lanes):
            rank, lane = divmod(unit, plan.lanes)
            rows = lane + plan.lanes * (shared.fold * rank + np.arange(shared.fold))
            _read(matrix, rows, shared.columns, shared.group, BLOCK, spread, ranks, shifts, exponents, planes)
            yield text[: _write(planes, groups, group_lengths, subsets, subset_lengths, text)].data

    return array_text(plan, _readers(shared), pins)


def _geometry(plan: ArrayPlan) -> SharedGeometry:
    assert isinstance(plan.geometry, SharedGeometry), f"{plan.name} is no shared array"
    return plan.geometry


def _planes(columns: int, magnitudes: Sequence[int], shifts: Sequence[int]) -> int:
    """Planes of a unit: of every column its code's bits and the sign, then of the exponent."""
    return columns * (len(magnitudes).bit_length() + 1) + (len(shifts) - 1).bit_length()


def _places(seen: list[np.ndarray]) -> tuple[int, ...]:
    """Where any of the arrays of bool ``seen`` is true."""
    return tuple(sorted({int(place) for array in seen for place in np.flatnonzero(array)}))


def _best_group(slices: int, planes: int) -> int:
    """Addresses of a group that make ``planes`` planes of the whole array, and the subsets, fewest gates."""

    def gates(size: int) -> float:
        groups = -(-slices // size)
        return planes * groups * (1 - 0.5**size) * MERGE + groups * SUBSET * (1 << size)

    return min(range(1, min(MOST, slices) + 1), key=gates)


def _subsets(size: int) -> str:
    return f"shared_subsets_k{size}"


def _readers(shared: SharedGeometry) -> str:
    """Declarations and instances of the subsets of all groups: bit m of a group is 0 when a line of m is 1."""
    numbers = {size: [g for g, other in enumerate(shared.groups) if other == size] for size in shared.groups}
    wires = [
        ports.wrapped(f"    wire [{(1 << size) - 1}:0] ", [f"g{g}" for g in groups], ";\n")
        for size, groups in numbers.items()
    ]
    instances = []
    for g, size in enumerate(shared.groups):
        lines = ", ".join(f"a{i}" for i in range(g * shared.group + size - 1, g * shared.group - 1, -1))
        instances.append(f"    {_subsets(size)} subsets_{g} ({{{lines}}}, g{g});\n")
    return (
        "    // A subset that no plane asks for leaves its line unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + "".join(wires)
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + "".join(instances)
    )


def _mac_names(shared: SharedGeometry) -> Names:
    """Names of the unit's template: planes of every column, and factors and shifts as sums of products of them."""
    bits, table = shared.code_bits, digits(shared.magnitudes)
    codes = range(1, len(shared.magnitudes) + 1)
    unused = list(range(len(shared.magnitudes) + 1, 1 << bits))
    columns, pins = [], []
    for column in range(shared.columns):
        names = [f"b{column}_{bit}" for bit in range(bits + 1)]
        pins += [f"z{column}_{bit}" for bit in range(bits + 1)]
        planes = {}
        for part, letter in enumerate("fs"):
            for number in sorted({pair[part] for pair in table.values()}):
                on = [code for code in codes if table[shared.magnitudes[code - 1]][part] == number]
                planes[f"{letter}{number}"] = cover(names[:bits], on, unused if letter == "f" else [0, *unused])
        wires = [(name, f"~z{name[1:]}") for name in names]
        columns.append(column_names(column, wires, names[bits], planes))
    exponents = _exponents(shared)
    pins += [f"ze_{bit}" for bit in range(shared.exponent_bits)]
    what = "Pin z<c>_<b> is 0 when bit b of the code that column c reads is 1, ze_<b> that of the exponent's."
    return mac_names(shared.magnitudes, exponents, shared.odds, pins, columns) | {"what": what}


def _exponents(shared: SharedGeometry) -> list[tuple[int, str]]:
    """Shifts of the columns' sum, and when."""
    names = [f"ze_{bit}" for bit in range(shared.exponent_bits)]
    every, used = (1 << len(names)) - 1, len(shared.shifts)
    unused = [every ^ code for code in range(used, every + 1)]
    when = [cover(names, [every ^ code], unused) if names else "1'b1" for code in range(used)]
    return list(zip(shared.exponents, when, strict=False))


def _spread(shared: SharedGeometry) -> np.ndarray:
    """Codes of the relative weights from -largest to largest, as `_apart` makes them: uint64 [weights, words]."""
    largest, minus = shared.magnitudes[-1], 1 << shared.code_bits
    codes = [0] * (2 * largest + 1)
    for code, magnitude in enumerate(shared.magnitudes, 1):
        codes[largest + magnitude], codes[largest - magnitude] = code, code | minus
    return _apart(codes)


def _apart(codes: Sequence[int]) -> np.ndarray:
    """Bits of every code STRIDE apart, PLANES_A_WORD in a word: uint64 [codes, words]."""
    words = -(-max(1, max(codes).bit_length()) // PLANES_A_WORD)
    apart = np.zeros((len(codes), words), dtype=np.uint64)
    for row, code in enumerate(codes):
        for bit in range(code.bit_length()):
            word, place = divmod(bit, PLANES_A_WORD)
            apart[row, word] |= np.uint64((code >> bit & 1) << STRIDE * place)
    return apart


def _tokens(shared: SharedGeometry) -> list[np.ndarray]:
    """A term's two parts, group and subset, as words, first character lowest, each with its lengths: uint64."""
    groups = [f"{chr(NEW_LINE) if g % TERMS_A_LINE == 0 and g else ''}g{g}[" for g in range(len(shared.groups))]
    subsets = [f"{m}]&" for m in range(1 << shared.group)]
    parts: list[np.ndarray] = []
    for names in (groups, subsets):
        text = "".join(name.ljust(WORD, "\0") for name in names)
        parts += [np.frombuffer(text.encode(), dtype="<u8"), np.array([len(n) for n in names], dtype=np.uint64)]
    return parts


@njit(cache=True, nogil=True)
def _exponent(largest, most):
    """The smallest exponent with ``largest`` at most ``most`` times 2 to its power."""
    exponent = 0
    while (most << exponent) < largest:
        exponent += 1
    return exponent


@njit(cache=True, nogil=True)
def _survey(matrix, block, most):
    """The fields of `_Survey` for blocks of ``block`` inputs, a short one at the end of a row maybe."""
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
            exponent = _exponent(largest, most)
            exponents[exponent] = True
            sound = sound and any_ & ((1 << exponent) - 1) == 0
            for i in range(start, min(inputs, start + block)):
                magnitude = abs(np.int64(matrix[row, i]))
                plain[magnitude] = True
                relative[magnitude >> exponent] = True
    plain[0] = relative[0] = False
    return sums, plain, relative, exponents, sound


@njit(cache=True, nogil=True)
def _ranks(matrix, block, most, shifts):
    """The place among ``shifts`` of the exponent of every block, uint8 [rows, blocks]; 0 where a block is all 0."""
    rows, inputs = matrix.shape
    ranks = np.zeros((rows, -(-inputs // block)), dtype=np.uint8)
    if len(shifts) == 1:
        return ranks
    for row in range(rows):
        for number in range(ranks.shape[1]):
            largest = np.int64(0)
            for i in range(number * block, min(inputs, (number + 1) * block)):
                largest = max(largest, abs(np.int64(matrix[row, i])))
            if largest:
                ranks[row, number] = np.searchsorted(shifts, _exponent(largest, most))
    return ranks


@njit(cache=True, nogil=True)
def _read(matrix, unit, columns, size, block, spread, ranks, shifts, exponents, planes):
    """Fill ``planes``, uint16 [planes, groups]: bit j of a plane and group is the plane's at the group's address j.

    unit: rows of its ring, those behind the last being 0. size: addresses of a group. spread: `_spread`, and
    ``exponents`` the same for the places among ``shifts``, uint64 [shifts]. ranks: `_ranks`.
    """
    rows, inputs = matrix.shape
    most, words, number = len(spread) // 2, spread.shape[1], 0
    in_column = len(planes) // columns
    held = np.zeros(columns * words + 1, dtype=np.uint64)
    place, last = np.uint64(0), len(unit) * (inputs // columns) - 1
    for step in range(inputs // columns):
        for phase in range(len(unit)):
            row = unit[phase]
            if row < rows:
                rank = ranks[row, step * columns // block]
                for column in range(columns):
                    code = (matrix[row, step * columns + column] >> shifts[rank]) + most
                    for word in range(words):
                        held[column * words + word] |= spread[code, word] << place
                held[-1] |= exponents[rank] << place
            place += np.uint64(1)
            if place == size or step * len(unit) + phase == last:
                for plane in range(len(planes)):
                    column, bit = divmod(plane, in_column)
                    word = column * words + bit // PLANES_A_WORD if column < columns else len(held) - 1
                    bits = held[word] >> np.uint64(STRIDE * (bit % PLANES_A_WORD))
                    planes[plane, number] = bits & np.uint64((1 << STRIDE) - 1)
                held[:] = 0
                place, number = np.uint64(0), number + 1


@njit(cache=True, nogil=True)
def _write(planes, groups, group_lengths, subsets, subset_lengths, text):
    """Write the pins of a unit from its ``planes`` to ``text``, uint8; how many characters there are.

    Whole words are written, so that what follows a term is overwritten by the next one.
    """
    at = np.uint64(0)
    for plane in range(len(planes)):
        text[at] = NEW_LINE
        at += np.uint64(1)
        start = at
        for group in range(planes.shape[1]):
            subset = planes[plane, group]
            if subset:
                for place in range(WORD):  # becomes one store
                    text[at + np.uint64(place)] = (groups[group] >> np.uint64(8 * place)) & np.uint64(0xFF)
                at += group_lengths[group]
                for place in range(WORD):
                    text[at + np.uint64(place)] = (subsets[subset] >> np.uint64(8 * place)) & np.uint64(0xFF)
                at += subset_lengths[subset]
        if at == start:
            for character in NONE:
                text[at] = character
                at += np.uint64(1)
        text[at - np.uint64(1)] = COMMA
    return at - np.uint64(1)
