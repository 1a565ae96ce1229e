"""Vectors of a model as the fixed-point constants that units hold: checked before a checkpoint is quantized."""

from collections.abc import Callable

from torch import Tensor

from golden.errors import UserError
from golden.shape import ExpertsShape, ModelShape, TensorShape
from golden.units.gain import Gain
from golden.units.numerics import Numerics
from golden.units.rope import Rope
from golden.units.router import Router

__all__ = ["check_constants"]


def check_constants(vector: TensorShape, values: Tensor, model: ModelShape, numerics: Numerics) -> None:
    """Raise `UserError` naming tensor, value and range where `values` of a `vector` of `model` are beyond the word of
    the unit that holds them under the contract `numerics`."""
    try:
        rule_of(vector, model, numerics)(values)
    except UserError as error:
        raise UserError(f"{vector.name}: {error}") from None


def rule_of(vector: TensorShape, model: ModelShape, numerics: Numerics) -> Callable[[Tensor], Tensor]:
    """By the unit that the constants are of."""
    word, layer = numerics.word, model.layers[vector.layer or 0]
    if vector.kind in ("q_norm", "k_norm"):
        return Rope(layer.attention.rotary_dim, layer.attention.rope_theta, word).gains
    if vector.kind == "expert_bias":
        assert isinstance(layer.mlp, ExpertsShape)
        return Router(layer.mlp.num_experts, layer.mlp.top_k).biases
    if vector.kind in ("q_bias", "k_bias", "v_bias"):
        return lambda values: word.constants(values, "a bias of a projection")
    return Gain(word).constants
