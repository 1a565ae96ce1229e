"""Dream-7B (arXiv 2508.15487): the shape of Qwen2.5, every position seeing every other, logits shifted by one."""

from typing import Any

from hardloom.golden.checkpoints.families.family import Family
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields, head_dim_of, key_value_heads_of, model_of
from hardloom.golden.shape import AttentionShape, DenseShape, LayerShape, ModelShape

__all__ = ["Dream"]

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "intermediate_size", "rope_theta", "rope_scaling", "rope_parameters"),
        *("rms_norm_eps", "max_position_embeddings", "mask_token_id", "eos_token_id"),
    ),
    fixed={
        "hidden_act": (("silu", None), "the MLP is SwiGLU"),
        "tie_word_embeddings": ((False, None), "embedding and head are two matrices"),
        "use_sliding_window": ((False, None), "every position sees every other"),
        "use_mrope": ((False, None), "positions are of one dimension"),
        "is_causal": ((False, None), "every position sees every other"),
        "quantization_config": ((None,), "weights are plain floating point"),
    },
    harmless={
        "sliding_window": "use_sliding_window is false",
        "max_window_layers": "use_sliding_window is false",
    },
)


class Dream(Family):
    name = "Dream"
    model_types = ("Dream",)
    rules = RULES

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.unfold_rope()
        fields.require(
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
            *("intermediate_size", "rope_theta", "rms_norm_eps", "max_position_embeddings", "mask_token_id"),
            "eos_token_id",
        )
        hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads", most=1 << 16)
        head_dim = head_dim_of(hidden, heads)
        fields.same("head_dim", head_dim, "hidden_size / num_attention_heads")
        attention = AttentionShape(
            num_heads=heads,
            num_key_value_heads=key_value_heads_of(fields, heads),
            head_dim=head_dim,
            rope_theta=fields.real("rope_theta", 1e15),
            rotary_dim=fields.rotary_dim(head_dim),
            bias=True,
        )
        layer = LayerShape(attention, DenseShape(fields.count("intermediate_size")))
        return model_of(self.name, fields, (layer,) * fields.count("num_hidden_layers"), shift=1)
