"""How many elements a beat can have in the streams of a model's chip."""

from collections.abc import Iterator
from math import gcd

from golden.shape import ExpertsShape, ModelShape

__all__ = ["most_lanes", "vectors"]


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
