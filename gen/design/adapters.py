"""Memories of LoRA adapters: sizes, and where the host finds each word."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from hardloom.gen.text.constant_module import index_width

__all__ = ["ELEMENT", "WORD", "AdapterSizes", "Scaled", "Which", "adapter_words"]

WORD = 32
"""Bits that the host writes at once."""
ELEMENT = 8
"""Bits of an element of A or B."""


class Which(IntEnum):
    """What of an adapter an address is in."""

    A = 0
    B = 1
    SCALES = 2


@dataclass(frozen=True)
class AdapterSizes:
    """The adapters beside an array of `banks` matrices, all of [rows, inputs], which take the same packets.

    A word of the memory of A holds `lanes` columns, element (k, column) at k * lanes + column; a word of the memory of
    B holds `lanes` rows, element (row, k) at row * rank + k. The host writes it in `parts`, lowest elements first. The
    scales are two words, that of A first: `mant` in bits 7:0, `shift`, signed, in bits 16:8.

    Parameters
    ----------
    rank: of each adapter. lanes: elements a beat; divides `inputs` and `rows`.
    """

    rank: int
    lanes: int
    inputs: int
    rows: int
    banks: int

    @property
    def parts(self) -> int:
        """Words of the host a word of a memory."""
        return -(-self.rank * self.lanes * ELEMENT // WORD)

    @property
    def depths(self) -> dict[Which, int]:
        """Words of each memory."""
        return {Which.A: self.inputs // self.lanes, Which.B: self.rows // self.lanes}

    @property
    def part_bits(self) -> int:
        return (self.parts - 1).bit_length()

    @property
    def word_bits(self) -> int:
        return index_width(max(self.depths.values()))

    @property
    def bank_bits(self) -> int:
        return (self.banks - 1).bit_length()

    @property
    def address_bits(self) -> int:
        """From the lowest: part, word, `Which`, bank."""
        return self.part_bits + self.word_bits + 2 + self.bank_bits

    def address(self, bank: int, which: Which, word: int = 0) -> int:
        """Of the first part of a word of a memory, or of one of the scales; the other parts follow it."""
        return (((bank << 2) | which) << self.word_bits | word) << self.part_bits

    @property
    def narrow_beats(self) -> int:
        """Beats of what is between A and B."""
        return -(-self.rank // self.lanes)

    @property
    def narrow_lanes(self) -> int:
        """Elements of each of them, zeros behind the last one."""
        return -(-self.rank // self.narrow_beats)


@dataclass(frozen=True)
class Scaled:
    """codes * mant * 2^-shift: codes int64 [rows, columns] of 8 bits, mant 128 to 255, shift of 9 bits, signed."""

    codes: Tensor
    mant: int
    shift: int


def adapter_words(sizes: AdapterSizes, bank: int, a: Scaled, b: Scaled) -> Iterator[tuple[int, int]]:
    """What the host writes for the adapter of a matrix: addresses and words. a [rank, inputs], b [rows, rank]."""
    columns = a.codes.view(sizes.rank, -1, sizes.lanes).transpose(0, 1)
    rows = b.codes.view(-1, sizes.lanes * sizes.rank)
    for which, elements in ((Which.A, columns), (Which.B, rows)):
        for word, parts in enumerate(packed(elements.reshape(len(elements), -1), sizes.parts)):
            start = sizes.address(bank, which, word)
            yield from ((start + part, value) for part, value in enumerate(parts))
    for number, one in enumerate((a, b)):
        yield sizes.address(bank, Which.SCALES, number), one.mant | (one.shift & 0x1FF) << 8


def packed(elements: Tensor, parts: int) -> list[list[int]]:
    """int64 [words, elements] of 8 bits as so many words of the host each, the first element lowest."""
    padded = torch.zeros(len(elements), parts * (WORD // ELEMENT), dtype=torch.int64)
    padded[:, : elements.shape[1]] = elements & ((1 << ELEMENT) - 1)
    places = ELEMENT * torch.arange(WORD // ELEMENT)
    return (padded.view(len(elements), parts, -1) << places).sum(-1).tolist()
