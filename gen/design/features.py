"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator

from golden.errors import UserError
from golden.shape import AttentionShape, DenseShape, ExpertsShape, ModelShape

__all__ = ["check_features"]


def missing_of_attention(shape: AttentionShape) -> Iterator[str]:
    if shape.clip is not None:
        yield "clipped q, k and v"
    if shape.bias:
        yield "projections with a bias"


def missing_of_mlp(shape: DenseShape | ExpertsShape) -> Iterator[str]:
    if isinstance(shape, DenseShape):
        return
    if shape.capacity:
        yield "a router by blocks"
    if shape.scale != 1 and not shape.renormalise:
        yield "router weights that are scaled and not renormalised"


def missing(model: ModelShape) -> Iterator[str]:
    """Features of the model that the chip does not have, in words."""
    for attention in dict.fromkeys(layer.attention for layer in model.layers):
        yield from missing_of_attention(attention)
    for mlp in dict.fromkeys(layer.mlp for layer in model.layers):
        yield from missing_of_mlp(mlp)
    if model.mask_token_id is None or model.shift:
        yield "a head that predicts the next position"


def check_features(model: ModelShape) -> None:
    """Raises UserError that names the first feature of the model that the chip does not have."""
    for feature in missing(model):
        raise UserError(
            f"{model.family}: the chip does not have {feature} yet; quantize and sample --engine golden compute it"
        )
