"""Vectors of a model as the fixed-point constants that units hold."""

from collections.abc import Callable

from torch import Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.shape import ExpertsShape, ModelShape, TensorShape
from hardloom.golden.units.bias import Bias
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.router import Router

__all__ = ["constants"]


def constants(vector: TensorShape, values: Tensor, model: ModelShape, numerics: Numerics) -> Tensor:
    """`values`, float, of a `vector` of `model` as int64 constants of the unit that holds them under a contract.

    Raises `UserError` naming tensor, value and range where they are beyond the unit's word.
    """
    try:
        return rule_of(vector, model, numerics)(values)
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
        return Bias(word).constants
    return Gain(word).constants
