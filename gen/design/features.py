"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator

from golden.errors import UserError
from golden.shape import AttentionShape, DenseShape, ExpertsShape, ModelShape

__all__ = ["check_features"]


def missing_of_attention(shape: AttentionShape, hidden: int) -> Iterator[str]:
    if shape.num_key_value_heads != shape.num_heads:
        yield "grouped-query attention"
    if shape.query_width != hidden:
        yield "heads that are wider or narrower together than the hidden vector"
    if shape.rotary_dim != shape.head_dim:
        yield "rotary embedding of a part of a head"
    if not shape.head_norms:
        yield "attention without head norms"
    if shape.clip is not None:
        yield "clipped q, k and v"
    if shape.bias:
        yield "projections with a bias"
    if shape.block_length is not None:
        yield "attention that does not see every position"


def missing_of_mlp(shape: DenseShape | ExpertsShape) -> Iterator[str]:
    if isinstance(shape, DenseShape):
        yield "layers without experts"
        return
    if shape.capacity:
        yield "a router by blocks"
    if shape.scale != 1 and not shape.renormalise:
        yield "router weights that are scaled and not renormalised"
    if shape.shared_size:
        yield "a shared expert"


def missing(model: ModelShape) -> Iterator[str]:
    """Features of the model that the chip does not have, in words."""
    for attention in dict.fromkeys(layer.attention for layer in model.layers):
        yield from missing_of_attention(attention, model.hidden_size)
    for mlp in dict.fromkeys(layer.mlp for layer in model.layers):
        yield from missing_of_mlp(mlp)
    if len(set(model.layers)) > 1:
        yield "layers that differ"
    if model.mask_token_id is None or model.shift:
        yield "a head that predicts the next position"


def check_features(model: ModelShape) -> None:
    """Raises UserError that names the first feature of the model that the chip does not have."""
    for feature in missing(model):
        raise UserError(
            f"{model.family}: the chip does not have {feature} yet; quantize and sample --engine golden compute it"
        )
