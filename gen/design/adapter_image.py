"""What the host writes into a chip for a LoRA adapter."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from hardloom.gen.design.adapters import AdapterMap, AdapterSizes, adapter_words
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_parts import adapter_integers
from hardloom.golden.shape import LayerShape, ModelShape

__all__ = ["adapter_image", "adapter_writes", "check_rank", "rank_of"]


def adapter_image(
    model: ModelShape, hardware: HardwareConfig, lora: Mapping[str, LowRank]
) -> Iterator[tuple[int, int]]:
    """Addresses and words of all memories of adapters: those of matrices that have none are zeros.

    lora: by the names of matrices. Raises UserError where the chip has no adapters, or of a lower rank.
    """
    check_rank(hardware, lora)
    places = AdapterMap.of(model, hardware.lanes, hardware.adapter_rank)
    for number, adapters in enumerate(places.layers):
        for kind, sizes in adapters.items():
            first = places.first(number, kind)
            for bank, name in enumerate(letters(model.layers[number], kind)):
                one = lora.get(model.tensor(f"{name}_proj", number).name)
                a, b = map(adapter_integers, padded(one, sizes))
                yield from ((first + address, word) for address, word in adapter_words(sizes, bank, a, b))


def check_rank(hardware: HardwareConfig, lora: Mapping[str, LowRank]) -> None:
    """Raise UserError where a chip has no place for an adapter."""
    rank = rank_of(lora)
    if hardware.adapter_rank < rank:
        has = f"adapters of rank {hardware.adapter_rank}" if hardware.adapter_rank else "no memories for adapters"
        raise UserError(
            f"--adapter: has rank {rank}, and the chip was generated with {has}; generate one with "
            f'{{"adapter_rank": {rank}}} in --hardware, or give --engine golden'
        )


def rank_of(lora: Mapping[str, LowRank]) -> int:
    """Of an adapter."""
    return max(len(one.down) for one in lora.values())


def letters(layer: LayerShape, kind: str) -> str:
    """Whose matrices an array has, as `AttentionShape.projections`."""
    return layer.attention.projections.get(kind, kind)


def padded(one: LowRank | None, sizes: AdapterSizes) -> tuple[Tensor, Tensor]:
    """A and B, float32, with zeros up to the chip's rank."""
    a, b = torch.zeros(sizes.rank, sizes.inputs), torch.zeros(sizes.rows, sizes.rank)
    if one is not None:
        a[: len(one.down)], b[:, : len(one.down)] = one.down, one.up
    return a, b


def adapter_writes(image: Iterable[tuple[int, int]], enable: bool = True) -> Iterator[tuple[str, int]]:
    """Registers to write, in order, and values: an address wherever it does not follow the one before."""
    following = None
    for address, word in image:
        if address != following:
            yield "ADAPTER_ADDRESS", address
        yield "ADAPTER_WORD", word
        following = address + 1
    yield "ADAPTER", int(enable)
