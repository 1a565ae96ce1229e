"""Noise on logits, so that the largest is a token drawn by chance: Gumbel-max in integers."""

import math

import torch
from torch import Tensor

from hardloom.golden.units.exact import column
from hardloom.golden.units.fixed import bit_length

__all__ = ["GUMBEL_FRAC", "gumbel"]

WORD = (1 << 32) - 1

GUMBEL_FRAC = 10
"""Fraction bits of the noise."""

OCTAVES, CELL_BITS = 32, 3
"""Of the table: leading zeros of a word, and the bits behind its first one."""


def mixed(word: Tensor) -> Tensor:
    """A permutation of the words of 32 bits, int64: additions and shifts, so that neighbours have nothing in common."""
    for left, right in ((15, 12), (7, 9), (17, 14), (5, 16)):
        word = word + (word << left) & WORD
        word = word ^ word >> right
    return word


def entry(octave: int, cell: int) -> int:
    """-ln(-ln(1 - v)) in the middle of the v with so many leading zeros and these bits behind the first one."""
    v = 2.0 ** -(octave + 1) * (1 + (cell + 0.5) / (1 << CELL_BITS))
    return round(-math.log(-math.log1p(-v)) * 2**GUMBEL_FRAC)


TABLE = tuple(entry(octave, cell) for octave in range(OCTAVES) for cell in range(1 << CELL_BITS))


def gumbel(seed: Tensor, step: Tensor, position: Tensor, vocab_size: int) -> Tensor:
    """Noise of every token, int64 [n, vocab_size] with `GUMBEL_FRAC` fraction bits, of n predictions.

    seed, step, position: int64 [n], below 2^32. The word of a token is `mixed` of the sum, modulo 2^32, of the token's
    id and what came of the position, so of the step, so of the seed; as a fraction of 2^32 it is v. A noise has one of
    256 values.
    """
    word = torch.zeros_like(seed)
    for part in (seed, step, position):
        word = mixed(word + part & WORD)
    word = mixed(word[:, None] + torch.arange(vocab_size, device=seed.device) & WORD)
    octave = (OCTAVES - bit_length(word)).clamp(max=OCTAVES - 1)
    cell = (word << octave + 1 & WORD) >> OCTAVES - CELL_BITS
    return column(TABLE, word.device)[(octave << CELL_BITS) + cell]
