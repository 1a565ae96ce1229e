"""Dense LLaDA-8B and LLaDA 1.5 (arXiv 2502.09992): a Llama-like encoder under the names of OLMo's code."""

from typing import Any

from hardloom.golden.checkpoints.families.family import Family, Place
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields, head_dim_of, key_value_heads_of
from hardloom.golden.errors import UserError
from hardloom.golden.shape import AttentionShape, DenseShape, LayerShape, ModelShape, TensorShape

__all__ = ["LLaDA"]

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "embedding_size", "d_model", "n_layers", "n_heads", "n_kv_heads"),
        *("mlp_hidden_size", "include_qkv_bias", "rope_theta", "rms_norm_eps", "max_sequence_length"),
        *("mask_token_id", "eos_token_id"),
    ),
    fixed={
        "activation_type": (("silu", None), "the MLP is SwiGLU"),
        "block_type": (("llama", None), "projections are apart and follow one another"),
        "block_group_size": ((1, None), "blocks stand one by one"),
        "layer_norm_type": (("rms", None), "norms are RMSNorm"),
        "layer_norm_with_affine": ((True, None), "norms have gains"),
        "bias_for_layer_norm": ((False, None), "norms have no bias"),
        "attention_layer_norm": ((False, None), "q and k have no norms"),
        "input_emb_norm": ((False, None), "the embedding is not scaled"),
        "include_bias": ((False, None), "norms and projections add no bias, but for q, k and v"),
        "alibi": ((False, None), "positions are rotary"),
        "rope": ((True, None), "positions are rotary"),
        "multi_query_attention": ((None, False), "heads of keys are n_kv_heads"),
        "scale_logits": ((False, None), "logits are not scaled"),
        "weight_tying": ((False,), "embedding and head are two matrices"),
        "quantization_config": ((None,), "weights are plain floating point"),
    },
    harmless={
        "alibi_bias_max": "alibi is false",
        "attention_layer_norm_with_affine": "attention_layer_norm is false",
        "flash_attention": "one of several programs for the same attention",
        "rope_full_precision": "rotary embedding is computed in full precision",
        "precision": "the tensors' headers have theirs",
        "init_cutoff_factor": "training only",
        "init_device": "training only",
        "init_fn": "training only",
        "init_std": "training only",
        "mlp_ratio": "mlp_hidden_size is given",
    },
)

BLOCK = "model.transformer.blocks.{layer}."
STORED = {
    "embedding": "model.transformer.wte.weight",
    "input_layernorm": BLOCK + "attn_norm.weight",
    "q_proj": BLOCK + "q_proj.weight",
    "k_proj": BLOCK + "k_proj.weight",
    "v_proj": BLOCK + "v_proj.weight",
    "q_bias": BLOCK + "q_proj.bias",
    "k_bias": BLOCK + "k_proj.bias",
    "v_bias": BLOCK + "v_proj.bias",
    "o_proj": BLOCK + "attn_out.weight",
    "post_attention_layernorm": BLOCK + "ff_norm.weight",
    "dense.gate_proj": BLOCK + "ff_proj.weight",
    "dense.up_proj": BLOCK + "up_proj.weight",
    "dense.down_proj": BLOCK + "ff_out.weight",
    "norm": "model.transformer.ln_f.weight",
    "head": "model.transformer.ff_out.weight",
}
"""Names of the published files by kind of tensor."""


class LLaDA(Family):
    name = "LLaDA"
    model_types = ("llada",)
    rules = RULES

    def accepts(self, raw: dict[str, Any]) -> bool:
        return super().accepts(raw) and "num_experts" not in raw

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.require(
            *("vocab_size", "d_model", "n_layers", "n_heads", "mlp_hidden_size", "rope_theta", "rms_norm_eps"),
            *("max_sequence_length", "mask_token_id", "eos_token_id"),
        )
        hidden, heads, vocab_size = (
            fields.count("d_model"),
            fields.count("n_heads", most=1 << 16),
            fields.count("vocab_size"),
        )
        if fields.count("embedding_size", vocab_size) != vocab_size:
            raise UserError(
                f"embedding_size {fields.given['embedding_size']} differs from vocab_size {vocab_size}, and rows that "
                "no token has are not supported; give a checkpoint where they are equal"
            )
        key_value_heads = key_value_heads_of(fields, heads, "n_heads", "n_kv_heads")
        head_dim = head_dim_of(hidden, heads)
        theta, bias = fields.real("rope_theta", 1e15), fields.flag("include_qkv_bias")
        attention = AttentionShape(heads, key_value_heads, head_dim, theta, head_dim, bias=bias)
        layer = LayerShape(attention, DenseShape(fields.count("mlp_hidden_size")))
        mask, ends = fields.special_tokens(vocab_size)
        return ModelShape(
            family=self.name,
            vocab_size=vocab_size,
            hidden_size=hidden,
            layers=(layer,) * fields.count("n_layers", most=1 << 12),
            rms_norm_eps=fields.real("rms_norm_eps", 1.0),
            max_position_embeddings=fields.count("max_sequence_length", most=1 << 28),
            mask_token_id=mask,
            eos_token_ids=ends,
        )

    def places(self, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
        return (Place(STORED[tensor.kind].format(layer=tensor.layer), tensor.shape),)
