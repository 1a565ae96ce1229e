"""LLaDA-MoE (arXiv 2509.24389): fields of inclusionAI's configuration class, meanings of its modeling code.

The code takes the top k of softmax scores plus bias, mixes by those sums and never renormalises, whatever the fields
`norm_topk_prob` and `moe_router_score_function` say.
"""

from typing import Any

from hardloom.golden.checkpoints.families.family import Family, Place
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields, head_dim_of, key_value_heads_of, model_of
from hardloom.golden.errors import UserError
from hardloom.golden.shape import AttentionShape, DenseShape, ExpertsShape, LayerShape, ModelShape, TensorShape

__all__ = ["LLaDAMoE"]

MOST_EXPERTS = 1 << 18
"""Experts of all layers."""

ANY_GROUP = (0, 1, -2, None), "experts are chosen among all, not by groups; -2 is the class's default"
ALL_SEE_ALL = "every position sees every other"
ONE_STACK = "there is one stack of layers"

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "expert_intermediate_size", "moe_intermediate_size"),
        *("dense_intermediate_size", "shared_expert_intermediate_size", "num_experts", "num_local_experts"),
        *("n_routed_experts", "num_experts_per_tok", "moe_layer_freq", "moe_router_enable_expert_bias"),
        *("qk_layernorm", "use_qk_norm", "clip_qkv", "rope_theta", "rope_scaling", "rope_parameters"),
        *("partial_rotary_factor", "rms_norm_eps", "max_position_embeddings", "mask_token_id", "eos_token_id"),
    ),
    fixed={
        "hidden_act": (("silu", None), "experts are SwiGLU"),
        "moe_router_score_function": (("softmax", None), "the router's scores are a softmax"),
        "scoring_func": (("softmax", None), "the router's scores are a softmax"),
        "score_function": (("softmax", None), "the router's scores are a softmax"),
        "norm_topk_prob": ((False, None), "the published code never renormalises the weights of the chosen experts"),
        "routed_scaling_factor": ((1, None), "the experts' sum is added as it is"),
        "n_group": ANY_GROUP,
        "topk_group": ANY_GROUP,
        "router_num_group": ANY_GROUP,
        "router_topk_group": ANY_GROUP,
        "expert_capacity": ((0, None), "a token takes its experts whatever others take"),
        "num_shared_experts": ((0, None), "the width of a shared expert is shared_expert_intermediate_size"),
        "n_shared_experts": ((0, None), "the width of a shared expert is shared_expert_intermediate_size"),
        "first_k_dense_replace": ((0, None), "layers without experts are those of moe_layer_freq"),
        "tie_word_embeddings": ((False, None), "embedding and head are two matrices"),
        "attention_bias": ((False, None), "no projection adds a bias"),
        "qkv_bias": ((False, None), "no projection adds a bias"),
        "mlp_bias": ((False, None), "no projection adds a bias"),
        "use_bias": ((False, None), "no projection adds a bias"),
        "sliding_window": ((None,), ALL_SEE_ALL),
        "use_sliding_window": ((False, None), ALL_SEE_ALL),
        "is_causal": ((False, None), ALL_SEE_ALL),
        "is_decoder": ((False, None), ALL_SEE_ALL),
        "is_encoder_decoder": ((False, None), ONE_STACK),
        "add_cross_attention": ((False, None), ONE_STACK),
        "logit_softcap": ((None,), "logits are not capped"),
        "final_logit_softcapping": ((None,), "logits are not capped"),
        "attn_logit_softcapping": ((None,), "attention scores are not capped"),
        "quantization_config": ((None,), "weights are plain floating point"),
        "pruned_heads": (({}, None), "every head is there"),
    },
    harmless={"intermediate_size": "another name that the code does not read"},
)


class LLaDAMoE(Family):
    name = "LLaDA-MoE"
    model_types = ("llada", "lladamoe")
    rules = RULES

    def accepts(self, raw: dict[str, Any]) -> bool:
        return super().accepts(raw) and "num_experts" in raw

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.unfold_rope()
        fields.add_published_tokens()
        fields.require(
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "expert_intermediate_size"),
            *("num_experts", "num_experts_per_tok", "rope_theta", "rms_norm_eps", "max_position_embeddings"),
            *("mask_token_id", "eos_token_id"),
        )
        if "qk_layernorm" not in raw:
            raise UserError("field qk_layernorm is missing; add what the model's authors say (null: no head norms)")
        return model_of(self.name, fields, layers(fields))

    def places(self, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
        (own,) = super().places(tensor, model)
        base = f"model.layers.{tensor.layer}.mlp."
        if tensor.kind == "expert_bias":
            return own, Place(base + "gate.expert_bias", tensor.shape)
        if tensor.kind.startswith("shared."):
            return (Place(tensor.name.replace("shared_experts", "shared_expert"), tensor.shape),)
        if tensor.expert is None:
            return (own,)
        return own, *stacked(base, tensor, model)

    def ignored(self, model: ModelShape) -> tuple[str, ...]:
        """A bias that `moe_router_enable_expert_bias` does not ask for is left alone, as the published code does."""
        biased = any(isinstance(layer.mlp, ExpertsShape) and layer.mlp.bias for layer in model.layers)
        return super().ignored(model) + (() if biased else (".mlp.expert_bias", ".mlp.gate.expert_bias"))


def layers(fields: Fields) -> tuple[LayerShape, ...]:
    """Every layer: attention is the same in all, and `moe_layer_freq` 0 is a layer without experts."""
    count, attention, experts = fields.count("num_hidden_layers"), attention_of(fields), experts_of(fields)
    frequency = fields.given.get("moe_layer_freq", 1)
    kinds = [frequency] * count if type(frequency) is int else frequency
    if not isinstance(kinds, list) or len(kinds) != count or any(type(kind) is not int for kind in kinds):
        raise UserError(
            f"moe_layer_freq is {frequency!r:.80}, and must be a list of num_hidden_layers {count} zeros and ones; "
            "correct one of them"
        )
    if set(kinds) - {0, 1}:
        raise UserError(f"moe_layer_freq is {frequency!r:.80}, which holds more than zeros and ones; correct the field")
    if count * experts.num_experts > MOST_EXPERTS:
        raise UserError(
            f"num_hidden_layers {count} times num_experts {experts.num_experts} is more than the {MOST_EXPERTS:,} "
            "experts of any model; correct one of them"
        )
    if all(kinds):
        return (LayerShape(attention, experts),) * count
    fields.require("dense_intermediate_size")
    dense = DenseShape(fields.count("dense_intermediate_size"))
    return tuple(LayerShape(attention, experts if kind else dense) for kind in kinds)


def attention_of(fields: Fields) -> AttentionShape:
    hidden, heads = fields.count("hidden_size"), fields.count("num_attention_heads", most=1 << 16)
    head_dim = head_dim_of(hidden, heads)
    fields.same("head_dim", head_dim, "hidden_size / num_attention_heads")
    head_norms = fields.flag("qk_layernorm")
    fields.same("use_qk_norm", head_norms, "qk_layernorm")
    return AttentionShape(
        num_heads=heads,
        num_key_value_heads=key_value_heads_of(fields, heads),
        head_dim=head_dim,
        rope_theta=fields.real("rope_theta", 1e15),
        rotary_dim=fields.rotary_dim(head_dim),
        head_norms=head_norms,
        clip=fields.real("clip_qkv", 1e6) if "clip_qkv" in fields.given else None,
    )


def experts_of(fields: Fields) -> ExpertsShape:
    shared = fields.given.get("shared_expert_intermediate_size", 0)
    experts = ExpertsShape(
        num_experts=fields.count("num_experts", most=1 << 16),
        top_k=fields.count("num_experts_per_tok", most=1 << 16),
        intermediate_size=fields.count("expert_intermediate_size"),
        bias="mixing" if fields.flag("moe_router_enable_expert_bias") else None,
        shared_size=0 if shared in (0, -1) else fields.count("shared_expert_intermediate_size"),
    )
    if experts.top_k > experts.num_experts:
        raise UserError(
            f"num_experts_per_tok {experts.top_k} exceeds num_experts {experts.num_experts}; correct one of them"
        )
    for name in ("num_local_experts", "n_routed_experts"):
        fields.same(name, experts.num_experts, "num_experts")
    fields.same("moe_intermediate_size", experts.intermediate_size, "expert_intermediate_size")
    return experts


def stacked(base: str, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
    """Where an expert's matrix may lie in one tensor of all experts of its layer, [experts, rows, inputs].

    `mlp.w1` and `mlp.w2` are those of the published class FusedLLaDAMoEModelLM, gate rows before up rows;
    `experts.gate_up_proj` and `experts.down_proj` those of transformers 5.
    """
    mlp = model.layers[tensor.layer or 0].mlp
    assert isinstance(mlp, ExpertsShape) and tensor.expert is not None
    rows, inputs = tensor.shape
    if tensor.kind == "down_proj":
        shape, first = (mlp.num_experts, rows, inputs), tensor.expert * rows
        return Place(base + "w2", shape, first), Place(base + "experts.down_proj", shape, first)
    shape, first = (mlp.num_experts, 2 * rows, inputs), (2 * tensor.expert + (tensor.kind == "up_proj")) * rows
    return Place(base + "w1", shape, first), Place(base + "experts.gate_up_proj", shape, first)
