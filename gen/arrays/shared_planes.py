"""The text of a `shared` array's units: planes of their weights' codes, and a subset of every group for each plane."""

from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit

from hardloom.gen.arrays.shared_form import BLOCK, SharedForm, smallest_exponent

__all__ = ["plane_pins"]

STRIDE, PLANES_A_WORD = 12, 5  # planes of a group of addresses in a word of 64 bits
TERMS_A_LINE = 16
WORD = 8  # characters of the longest part of a term
NEW_LINE, COMMA, NONE = ord("\n"), ord(","), tuple(b"1'b1,")


def plane_pins(matrix: np.ndarray, form: SharedForm, largest: int, lanes: int) -> Iterator[memoryview]:
    """Text of the pins of every unit of a bank, valid until the next is asked for.

    matrix: int16 or int32; largest: of its blocks' magnitudes over 2^exponent.
    """
    spread, shifts = _spread(form), np.array(form.shifts)
    groups, group_lengths, subsets, subset_lengths = _tokens(form)
    exponents = _apart(range(len(shifts)))[:, 0]
    planes = np.empty((form.planes, len(form.groups)), dtype=np.uint16)
    text = np.empty((2 * planes.size + len(planes) + 1) * WORD, dtype=np.uint8)
    ranks = _ranks(matrix, BLOCK, largest, shifts)
    for unit in range(-(-len(matrix) // (lanes * form.fold)) * lanes):
        rank, lane = divmod(unit, lanes)
        rows = lane + lanes * (form.fold * rank + np.arange(form.fold))
        _read(matrix, rows, form.columns, form.group, BLOCK, spread, ranks, shifts, exponents, planes)
        yield text[: _write(planes, groups, group_lengths, subsets, subset_lengths, text)].data


def _spread(form: SharedForm) -> np.ndarray:
    """Codes of the relative weights from -largest to largest, as `_apart` makes them: uint64 [weights, words]."""
    largest, minus = form.magnitudes[-1], 1 << form.code_bits
    codes = [0] * (2 * largest + 1)
    for code, magnitude in enumerate(form.magnitudes, 1):
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


def _tokens(form: SharedForm) -> list[np.ndarray]:
    """A term's two parts, group and subset, as words, first character lowest, each with its lengths: uint64."""
    groups = [f"{chr(NEW_LINE) if g % TERMS_A_LINE == 0 and g else ''}g{g}[" for g in range(len(form.groups))]
    subsets = [f"{m}]&" for m in range(1 << form.group)]
    parts: list[np.ndarray] = []
    for names in (groups, subsets):
        text = "".join(name.ljust(WORD, "\0") for name in names)
        parts += [np.frombuffer(text.encode(), dtype="<u8"), np.array([len(n) for n in names], dtype=np.uint64)]
    return parts


@njit(cache=True, nogil=True)
def _ranks(matrix, block, most, shifts):
    """The place among `shifts` of the exponent of every block, uint8 [rows, blocks]; 0 where a block is all 0."""
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
                ranks[row, number] = np.searchsorted(shifts, smallest_exponent(largest, most))
    return ranks


@njit(cache=True, nogil=True)
def _read(matrix, unit, columns, size, block, spread, ranks, shifts, exponents, planes):
    """Fill `planes`, uint16 [planes, groups]: bit j of a plane and group is the plane's at the group's address j.

    unit: rows of its ring, those behind the last being 0. size: addresses of a group. spread: `_spread`, and
    `exponents` the same for the places among `shifts`, uint64 [shifts]. ranks: `_ranks`.
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
    """Write the pins of a unit from its `planes` to `text`, uint8; how many characters there are.

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
