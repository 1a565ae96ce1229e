"""Memories of LoRA adapters: sizes, and where the host finds each word."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from hardloom.gen.design.latency import narrow_beats
from hardloom.gen.text.constant_module import index_width
from hardloom.golden.quantization.format_names import CODE_BITS
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.shape import LayerShape, ModelShape
from hardloom.golden.units.adapter import ADAPTER_FORMAT
from hardloom.golden.units.rescale import Rescale

__all__ = [
    "ELEMENT",
    "WORD",
    "AdapterMap",
    "AdapterSizes",
    "Which",
    "adapter_words",
    "array_bits",
    "layer_adapters",
    "layer_bits",
]

WORD = 32
"""Bits that the host writes at once."""
ELEMENT = CODE_BITS[ADAPTER_FORMAT]
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
        return narrow_beats(self.rank, self.lanes)

    @property
    def narrow_lanes(self) -> int:
        """Elements of each of them, zeros behind the last one."""
        return -(-self.rank // self.narrow_beats)


def adapter_words(sizes: AdapterSizes, bank: int, a: IntegerMatrix, b: IntegerMatrix) -> Iterator[tuple[int, int]]:
    """What the host writes for the adapter of a matrix: addresses and words.

    a [rank, inputs], b [rows, rank], of 8 bits, the scale of all rows that of the first.
    """
    columns = a.weights.view(sizes.rank, -1, sizes.lanes).transpose(0, 1)
    rows = b.weights.view(-1, sizes.lanes * sizes.rank)
    for which, elements in ((Which.A, columns), (Which.B, rows)):
        for word, parts in enumerate(packed(elements.reshape(len(elements), -1), sizes.parts)):
            start = sizes.address(bank, which, word)
            yield from ((start + part, value) for part, value in enumerate(parts))
    for number, one in enumerate((a, b)):
        yield sizes.address(bank, Which.SCALES, number), scale_word(int(one.mant[0]), -int(one.exp[0]))


def scale_word(mant: int, shift: int, spec: Rescale = Rescale()) -> int:
    """A scale as the host writes it."""
    return mant | (shift & ((1 << spec.shift_width) - 1)) << spec.mant_width


def packed(elements: Tensor, parts: int) -> list[list[int]]:
    """int64 [words, elements] of 8 bits as so many words of the host each, the first element lowest."""
    padded = torch.zeros(len(elements), parts * (WORD // ELEMENT), dtype=torch.int64)
    padded[:, : elements.shape[1]] = elements & ((1 << ELEMENT) - 1)
    places = ELEMENT * torch.arange(WORD // ELEMENT)
    return (padded.view(len(elements), parts, -1) << places).sum(-1).tolist()


def layer_adapters(model: ModelShape, layer: LayerShape, lanes: int, rank: int) -> dict[str, AdapterSizes]:
    """Of a layer by kind of array, in the order of their addresses; none where the rank is 0."""
    attention, hidden = layer.attention, model.hidden_size
    if not rank:
        return {}
    found = {}
    for kind, names in attention.projections.items():
        rows = attention.query_width if "q" in names else attention.key_value_width
        found[kind] = AdapterSizes(rank, lanes, hidden, rows, len(names))
    return found | {"o": AdapterSizes(rank, lanes, attention.query_width, hidden, 1)}


def array_bits(adapters: Mapping[str, AdapterSizes]) -> int:
    """Bits of an address in the adapters of an array of a layer."""
    return max(sizes.address_bits for sizes in adapters.values())


def layer_bits(adapters: Mapping[str, AdapterSizes]) -> int:
    """Bits of an address in a layer: above `array_bits`, the array's number."""
    return (len(adapters) - 1).bit_length() + array_bits(adapters)


@dataclass(frozen=True)
class AdapterMap:
    """Addresses of a chip: the layer, above the bits of the widest layer; the array; then as `AdapterSizes` says.

    layers: adapters of each, at least one.
    """

    layers: tuple[dict[str, AdapterSizes], ...]

    @classmethod
    def of(cls, model: ModelShape, lanes: int, rank: int) -> "AdapterMap":
        return cls(tuple(layer_adapters(model, layer, lanes, rank) for layer in model.layers))

    @property
    def inside_bits(self) -> int:
        """Bits of an address in the widest layer."""
        return max(map(layer_bits, self.layers))

    @property
    def address_bits(self) -> int:
        return (len(self.layers) - 1).bit_length() + self.inside_bits

    def first(self, layer: int, kind: str) -> int:
        """Where the adapters of an array begin."""
        adapters = self.layers[layer]
        return layer << self.inside_bits | [*adapters].index(kind) << array_bits(adapters)
