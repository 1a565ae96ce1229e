"""Noise on logits, so that the largest is a token drawn by chance: Gumbel-max in integers."""

import math

import torch
from torch import Tensor

from hardloom.golden.units.exact import column
from hardloom.golden.units.fixed import bit_length

__all__ = ["CELL_BITS", "GUMBEL_FRAC", "OCTAVES", "ROUNDS", "TABLE", "gumbel", "noise", "noise_word"]

WORD = (1 << 32) - 1

GUMBEL_FRAC = 10
"""Fraction bits of the noise."""

OCTAVES, CELL_BITS = 32, 3
"""Of the table: leading zeros of a word, and the bits behind its first one."""

ROUNDS = (15, 12), (7, 9), (17, 14), (5, 16)
"""Shifts of a word: to the left, added to it, then to the right, its bits exclusively or'ed with them."""


def mixed(word: Tensor) -> Tensor:
    """A permutation of the words of 32 bits, int64: additions and shifts, so that neighbours have nothing in common."""
    for left, right in ROUNDS:
        word = word + (word << left) & WORD
        word = word ^ word >> right
    return word


def entry(octave: int, cell: int) -> int:
    """-ln(-ln(1 - v)) in the middle of the v with so many leading zeros and these bits behind the first one."""
    v = 2.0 ** -(octave + 1) * (1 + (cell + 0.5) / (1 << CELL_BITS))
    return round(-math.log(-math.log1p(-v)) * 2**GUMBEL_FRAC)


TABLE = tuple(entry(octave, cell) for octave in range(OCTAVES) for cell in range(1 << CELL_BITS))


def noise_word(seed: Tensor, step: Tensor, position: Tensor) -> Tensor:
    """What a prediction's noise is made of, int64 [n], below 2^32: `mixed` of the sum of the position and what came of
    the step, so of the seed."""
    word = torch.zeros_like(seed)
    for part in (seed, step, position):
        word = mixed(word + part & WORD)
    return word


def noise(word: Tensor, vocab_size: int) -> Tensor:
    """Noise of every token, int64 [n, vocab_size], of predictions whose `noise_word` is int64 [n]."""
    word = mixed(word[:, None] + torch.arange(vocab_size, device=word.device) & WORD)
    octave = (OCTAVES - bit_length(word)).clamp(max=OCTAVES - 1)
    cell = (word << octave + 1 & WORD) >> OCTAVES - CELL_BITS
    return column(TABLE, word.device)[(octave << CELL_BITS) + cell]


def gumbel(seed: Tensor, step: Tensor, position: Tensor, vocab_size: int) -> Tensor:
    """Noise of every token, int64 [n, vocab_size] with `GUMBEL_FRAC` fraction bits, of n predictions.

    seed, step, position: int64 [n], below 2^32. The word of a token is `mixed` of the sum, modulo 2^32, of the token's
    id and `noise_word`; as a fraction of 2^32 it is v. A noise has one of 256 values.
    """
    return noise(noise_word(seed, step, position), vocab_size)
