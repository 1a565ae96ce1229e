"""Llama-shaped causal models (SmolLM2 and the like): dense, no head norms, every position sees those before it."""

from typing import Any

from hardloom.golden.checkpoints.families.family import Family
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields, key_value_heads_of, model_of
from hardloom.golden.shape import AttentionShape, DenseShape, LayerShape, ModelShape

__all__ = ["Llama"]

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "intermediate_size", "rope_theta", "rope_scaling", "rope_parameters"),
        *("partial_rotary_factor", "rms_norm_eps", "max_position_embeddings", "eos_token_id", "tie_word_embeddings"),
    ),
    fixed={
        "hidden_act": (("silu", None), "the MLP is SwiGLU"),
        "attention_bias": ((False, None), "no projection adds a bias"),
        "mlp_bias": ((False, None), "no projection adds a bias"),
        "rope_interleaved": ((False, None), "rotary embedding pairs element i with element i + rotary_dim / 2"),
        "is_llama_config": ((True, None), "a record of SmolLM2"),
        "quantization_config": ((None,), "weights are plain floating point"),
    },
    harmless={"pretraining_tp": "the same sums in parts", "transformers.js_config": "another program's record"},
)


class Llama(Family):
    name = "Llama"
    model_types = ("llama",)
    rules = RULES

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.unfold_rope()
        fields.require(
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("rms_norm_eps", "max_position_embeddings", "eos_token_id"),
        )
        hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads", most=1 << 16)
        head_dim = fields.count("head_dim", hidden // heads)
        attention = AttentionShape(
            num_heads=heads,
            num_key_value_heads=key_value_heads_of(fields, heads),
            head_dim=head_dim,
            rope_theta=fields.real("rope_theta", 1e15, default=10000.0),  # the class's default
            rotary_dim=fields.rotary_dim(head_dim),
            block_length=1,
        )
        layer = LayerShape(attention, DenseShape(fields.count("intermediate_size")))
        layers, tied = (layer,) * fields.count("num_hidden_layers"), fields.flag("tie_word_embeddings")
        return model_of(self.name, fields, layers, masked=False, shift=1, tied=tied)
