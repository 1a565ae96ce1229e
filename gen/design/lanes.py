"""How many elements a beat can have in the streams of a model's chip, and how much its attention can do at once."""

from collections.abc import Iterator
from math import gcd
from typing import Protocol

from hardloom.golden.shape import AttentionShape, ExpertsShape, ModelShape

__all__ = ["MOST_POSITIONS", "check_attention", "check_cache", "check_parallel", "most_lanes", "vectors"]

MOST_POSITIONS = 65535
"""Of a sequence, in any chip: registers of the host count them in 16 bits."""


def vectors(model: ModelShape) -> Iterator[tuple[str, int]]:
    """What a beat must divide: names and elements."""
    yield "hidden_size", model.hidden_size
    for layer in dict.fromkeys(model.layers):
        attention, mlp = layer.attention, layer.mlp
        yield "head_dim", attention.head_dim
        half = "head_dim / 2" if attention.rotary_dim == attention.head_dim else "rotary_dim / 2"
        yield half, attention.rotary_dim // 2
        if isinstance(mlp, ExpertsShape):
            yield "expert_intermediate_size", mlp.intermediate_size
            yield "shared_size", mlp.shared_size
        else:
            yield "intermediate_size", mlp.intermediate_size


def most_lanes(model: ModelShape, limit: int) -> int:
    """The most lanes that divide all of `vectors`, and `limit`."""
    return gcd(limit, *(elements for _, elements in vectors(model)))


class Parallel(Protocol):
    """What of a chip works side by side, as `gen.design.hardware.HardwareConfig` has it."""

    @property
    def head_lanes(self) -> int: ...

    @property
    def query_lanes(self) -> int: ...

    @property
    def head_tiles(self) -> int: ...

    @property
    def expert_groups(self) -> int: ...

    @property
    def routers(self) -> int: ...


def check_parallel(chosen: Parallel, model: ModelShape) -> tuple[str, str] | None:
    """Which field is wrong, and why, where a model can't be worked on so much side by side; else None."""
    if chosen.head_tiles > model.vocab_size:
        return "head_tiles", f"{chosen.head_tiles} exceeds the {model.vocab_size:,} rows of the head; give fewer"
    for attention in dict.fromkeys(layer.attention for layer in model.layers):
        if wrong := check_attention(attention, chosen.head_lanes, chosen.query_lanes):
            return wrong
    for mlp in dict.fromkeys(layer.mlp for layer in model.layers):
        if isinstance(mlp, ExpertsShape) and mlp.num_experts % chosen.expert_groups:
            return "expert_groups", f"{chosen.expert_groups} does not divide num_experts = {mlp.num_experts}"
        if isinstance(mlp, ExpertsShape) and chosen.routers > 1 and mlp.capacity:
            return "routers", f"{chosen.routers}, but blocks admit experts; give 1"
    return None


def check_attention(attention: AttentionShape, head_lanes: int, query_lanes: int) -> tuple[str, str] | None:
    """Which field is wrong, and why, where so many heads and queries can't be at work at once; else None."""
    heads, block = attention.num_heads, attention.block_length
    shared = heads // attention.num_key_value_heads
    if heads % head_lanes:
        return "head_lanes", f"{head_lanes} does not divide num_heads = {heads}"
    if shared % head_lanes and head_lanes % shared:
        return "head_lanes", f"{head_lanes} is no divisor and no multiple of the {shared} heads that share keys"
    if block is not None and block % query_lanes:
        return "query_lanes", f"{query_lanes} does not divide block_length = {block}"
    return None


def check_cache(attention: AttentionShape) -> str | None:
    """Why keys and values can't be kept from one pass to the next; else None."""
    block = attention.block_length or 1
    return f"block_length = {block} is no power of two, so nothing can be kept" if block & (block - 1) else None
