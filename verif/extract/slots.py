"""Reads the slots of a neuron instance, eight characters at a time."""

import numpy as np
from numba import njit

__all__ = ["FAULTS", "read_slots"]

FAULTS = {
    1: "it has too many or too few slots, or one that holds neither a wire of its {} feeds nor 1'b0",
    2: "a wire is in a slot of another slice, where it would meet others",
    3: "the wires of an input sum to more than 32 bits",
    4: "the wires of a neuron add up to more than its accumulator holds",
}
SOUND, NO_WIRE, WRONG_SLICE, WRONG_SUM, TOO_MUCH = range(5)

WORD = 8
BLANK, LINE_END, COMMA, CLOSE, POSITIVE, NEGATIVE, ZERO = (np.uint64(ord(character)) for character in " \n,)pn0")
TIE = np.uint64(int.from_bytes(b"1'b0", "little"))
BYTE, HALF, ONE, TWO = (np.uint64(n) for n in (0xFF, 0xFFFFFFFF, 1, 2))
ONES, HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
PLACE = np.uint64(0x0001020304050607)  # 1 << 8 k times this has k in its highest byte


@njit(cache=True, nogil=True)
def read_slots(code, start, values, slice_of, slices, most, weights):
    """Where slots from `start` on in text `code` (uint8) end, behind their bracket, and a key of `FAULTS` or 0.

    A slot is 1'b0, or p or n and the number of a feed of at most six digits without leading zeros; blanks and line
    ends may stand before it, a comma or, at the end, a bracket right behind it.

    values: int64 [slots], what a wire adds there. slice_of: int32 [feeds], the slice of each; slots take the `slices`
    in turn, and so do the neurons: slice s is of neuron s % fold. most: what all wires of a neuron may add up to, signs
    left out. weights: int32 [inputs, fold], to be filled: feed by feed.
    """
    inputs, fold = weights.shape
    sums, total = np.zeros(inputs * fold, dtype=np.int64), np.zeros(slices, dtype=np.int64)
    at, last, slice_ = np.uint64(start), np.uint64(len(code) - WORD), 0
    for slot in range(len(values)):
        while at < last and (code[at] == BLANK or code[at] == LINE_END):
            at += ONE
        if at >= last:
            return at, NO_WIRE
        word = np.uint64(0)
        for place in range(WORD):  # becomes one load
            word |= np.uint64(code[at + np.uint64(place)]) << np.uint64(8 * place)
        stop = word ^ ((COMMA if slot + 1 < len(values) else CLOSE) * ONES)
        ends = (stop - ONES) & ~stop & HIGHS  # its lowest bit is where a byte of `stop` is 0 first
        length = (((ends & (~ends + ONE)) >> np.uint64(7)) * PLACE) >> np.uint64(56)
        at += length + ONE
        if ends == 0:
            return at, NO_WIRE
        if length == np.uint64(4) and (word & HALF) == TIE:
            slice_ = slice_ + 1 if slice_ + 1 < slices else 0
            continue
        number, letter = _number(word >> np.uint64(8), length), word & BYTE
        if number >= np.uint64(len(sums)) or (letter != POSITIVE and letter != NEGATIVE):
            return at, NO_WIRE
        if slice_of[number] != slice_:
            return at, WRONG_SLICE
        sums[number] += values[slot] if letter == POSITIVE else -values[slot]
        total[slice_] += values[slot]
        slice_ = slice_ + 1 if slice_ + 1 < slices else 0
    return at, _fill(weights, sums, total, most)


@njit(cache=True, nogil=True)
def _fill(weights, sums, total, most):
    """What the wires of every feed sum to, int64 [inputs * fold], as weights; a key of `FAULTS` or 0."""
    inputs, fold = weights.shape
    for turn in range(fold):
        if total[turn::fold].sum() > most:
            return TOO_MUCH
    for i in range(inputs):
        for turn in range(fold):
            weights[i, turn] = sums[i * fold + turn]
            if weights[i, turn] != sums[i * fold + turn]:
                return WRONG_SUM
    return SOUND


@njit(cache=True, nogil=True)
def _number(digits, length):
    """The number of `length` - 1 digits, the first one lowest in the word; beyond any input where it is none."""
    if length < TWO or (digits & BYTE == ZERO and length > TWO):
        return HALF
    behind = np.uint64(8) * (length - ONE)
    word = digits << (np.uint64(64) - behind) | (ZERO * ONES) >> behind  # zeros before, nothing behind
    word ^= ZERO * ONES
    if (word | (word + np.uint64(6) * ONES)) & (np.uint64(0xF0) * ONES):
        return HALF
    # pairs, then fours, then eight: https://johnnylee-sde.github.io/Fast-numeric-string-to-int/
    word = (word * np.uint64(10 * 256 + 1)) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100 * 65536 + 1)) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    return (word * np.uint64((10000 << 32) + 1)) >> np.uint64(32)
