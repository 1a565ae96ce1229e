"""LLaDA2.0, 2.1 and 2.2 (arXiv 2512.15745, 2602.08676): fused q, k and v, a sigmoid router, a shared expert.

In 2.2 `expert_capacity` asks for block routing, and `n_group` and `topk_group` are there but unused. The code always
divides a token's weights by their sum, whatever `norm_topk_prob` says.
"""

from dataclasses import replace
from typing import Any

from hardloom.golden.checkpoints.families.family import Family, Place
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields, key_value_heads_of, model_of
from hardloom.golden.errors import UserError
from hardloom.golden.shape import AttentionShape, DenseShape, ExpertsShape, LayerShape, ModelShape, TensorShape

__all__ = ["LLaDA2"]

EDITS = ("delete_token_id", "split_token_id")
"""Tokens by which 2.2 edits: the sampler `levenshtein` drops and inserts positions where they are predicted."""

BLOCK_LENGTH = 32
"""Of the block-causal attention of every published size; `block_size` where the file has it (2.2)."""

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "intermediate_size", "moe_intermediate_size", "first_k_dense_replace"),
        *("num_experts", "num_experts_per_tok", "num_shared_experts", "n_group", "topk_group", "expert_capacity"),
        *("routed_scaling_factor", "moe_router_enable_expert_bias", "rope_theta", "rope_scaling", "rope_parameters"),
        *("partial_rotary_factor", "rotary_dim", "rms_norm_eps", "max_position_embeddings", "mask_token_id"),
        *("eos_token_id", "block_size", "delete_token_id", "split_token_id"),
    ),
    fixed={
        "hidden_act": (("silu", None), "experts are SwiGLU"),
        "score_function": (("sigmoid", None), "the router's scores are sigmoids"),
        "norm_topk_prob": ((True, None), "the published code always renormalises the weights of the chosen experts"),
        "use_qk_norm": ((True, None), "q and k have head norms"),
        "use_qkv_bias": ((False, None), "no projection adds a bias"),
        "use_bias": ((False, None), "no projection adds a bias"),
        "attention_bias": ((False, None), "no projection adds a bias"),
        "use_rmsnorm": ((True, None), "norms are RMSNorm"),
        "norm_head": ((False, None), "the head's rows are not normalised"),
        "tie_word_embeddings": ((False, None), "embedding and head are two matrices"),
        "use_sliding_window": ((False, None), "a position sees every block before it"),
        "quantization_config": ((None,), "weights are plain floating point"),
        "num_nextn_predict_layers": ((0, None), "no layer predicts further tokens"),
    },
    harmless={
        "sliding_window": "use_sliding_window is false",
        "max_window_layers": "use_sliding_window is false",
        "router_dtype": "the router computes in float32",
        "norm_softmax": "the loss's, in training",
        "mtp_loss_scaling_factor": "training only",
    },
)


class LLaDA2(Family):
    name = "LLaDA2"
    model_types = ("llada2_moe",)
    rules = RULES

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.unfold_rope()
        fields.add_published_tokens()
        fields.require(
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "moe_intermediate_size"),
            *("num_experts", "num_experts_per_tok", "rope_theta", "rms_norm_eps", "max_position_embeddings"),
            *("mask_token_id", "eos_token_id", "routed_scaling_factor", "partial_rotary_factor"),
            *(() if fields.given.get("expert_capacity") else ("n_group", "topk_group")),
        )
        count, dense = fields.count("num_hidden_layers"), fields.typed("first_k_dense_replace", int, 0)
        if not 0 <= dense <= count:
            raise UserError(f"first_k_dense_replace is {dense} of num_hidden_layers {count}; correct one of them")
        attention, experts = attention_of(fields), experts_of(fields)
        layers = (LayerShape(attention, experts),) * (count - dense)
        if dense:
            fields.require("intermediate_size")
            layers = (LayerShape(attention, DenseShape(fields.count("intermediate_size"))),) * dense + layers
        model = model_of(self.name, fields, layers)
        edits: dict[str, Any] = {n: fields.token(n, model.vocab_size) for n in EDITS if n in fields.given}
        return replace(model, **edits)

    def places(self, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
        base, attention = f"model.layers.{tensor.layer}.", model.layers[tensor.layer or 0].attention
        if tensor.kind in ("q_proj", "k_proj", "v_proj"):  # rows of q, then k, then v
            q, kv = attention.query_width, attention.key_value_width
            first = {"q_proj": 0, "k_proj": q, "v_proj": q + kv}[tensor.kind]
            return (Place(f"{base}attention.query_key_value.weight", (q + 2 * kv, model.hidden_size), first),)
        stored = {
            "embedding": "model.word_embeddings.weight",
            "o_proj": f"{base}attention.dense.weight",
            "q_norm": f"{base}attention.query_layernorm.weight",
            "k_norm": f"{base}attention.key_layernorm.weight",
            "expert_bias": f"{base}mlp.gate.expert_bias",
        }.get(tensor.kind, tensor.name)
        return (Place(stored, tensor.shape),)


def attention_of(fields: Fields) -> AttentionShape:
    heads = fields.count("num_attention_heads", most=1 << 16)
    head_dim = fields.count("head_dim", fields.count("hidden_size") // heads)
    if fields.given.get("num_key_value_heads") == 0:  # the class's default: as many as queries
        del fields.given["num_key_value_heads"]
    rotary_dim = fields.rotary_dim(head_dim)
    fields.same("rotary_dim", rotary_dim, "partial_rotary_factor * head_dim")
    return AttentionShape(
        num_heads=heads,
        num_key_value_heads=key_value_heads_of(fields, heads),
        head_dim=head_dim,
        rope_theta=fields.real("rope_theta", 1e15),
        rotary_dim=rotary_dim,
        head_norms=True,
        block_length=block_length_of(fields),
    )


def block_length_of(fields: Fields) -> int:
    """Of attention. Raises `UserError` for a block that is longer than any sequence."""
    said, most = fields.count("block_size", BLOCK_LENGTH), fields.count("max_position_embeddings")
    if "block_size" in fields.given and said > most:
        raise UserError(f"block_size is {said} of max_position_embeddings {most}; correct one of them")
    return said


def experts_of(fields: Fields) -> ExpertsShape:
    width, shared = fields.count("moe_intermediate_size"), fields.typed("num_shared_experts", int, 0)
    capacity = fields.typed("expert_capacity", int, 0)
    experts = ExpertsShape(
        num_experts=fields.count("num_experts", most=1 << 16),
        top_k=fields.count("num_experts_per_tok", most=1 << 16),
        intermediate_size=width,
        score="sigmoid",
        bias="selection" if fields.flag("moe_router_enable_expert_bias", default=True) else None,
        groups=1 if capacity else fields.count("n_group", 1, 1 << 16),
        top_groups=1 if capacity else fields.count("topk_group", 1, 1 << 16),
        capacity=capacity,
        renormalise=True,
        scale=fields.real("routed_scaling_factor", 1e6, 1.0),
        shared_size=shared * width,
    )
    for name, value, most in (
        ("num_experts_per_tok", experts.top_k, experts.num_experts // experts.groups * experts.top_groups),
        ("topk_group", experts.top_groups, experts.groups),
        ("expert_capacity", experts.capacity, experts.num_experts),
        ("num_shared_experts", shared, 64),
    ):
        if not 0 <= value <= most:
            raise UserError(f"{name} is {value}, not from 0 to {most}; correct one of the router's fields")
    if capacity and experts.top_k > capacity:
        raise UserError(
            f"expert_capacity is {capacity} but num_experts_per_tok is {experts.top_k}, and a token takes its experts "
            "out of those of its block; correct one of them"
        )
    if experts.num_experts % experts.groups:
        raise UserError(
            f"num_experts {experts.num_experts} is no multiple of n_group {experts.groups}; correct one of them"
        )
    return experts
