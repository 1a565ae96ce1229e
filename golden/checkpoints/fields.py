"""Every field that a LLaDA-MoE `config.json` may hold: what we do with it, and why.

The published configuration class (inclusionAI, `configuration_lladamoe.py`) names the fields and their defaults, its
model code says what they do; transformers 4 and 5 add fields of their own. A field is used (`golden.checkpoints.config`
reads it), fixed (the model is the one we compute under these values alone), or harmless (no value changes what is
computed). Any other field is refused unless it is null: it could change the model.
"""

from typing import Any

from golden.errors import UserError

__all__ = ["FIXED_FIELDS", "HARMLESS_FIELDS", "USED_FIELDS", "check_fields"]

USED_FIELDS = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "expert_intermediate_size",
    "moe_intermediate_size",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "moe_layer_freq",
    "moe_router_enable_expert_bias",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rms_norm_eps",
    "max_position_embeddings",
    "mask_token_id",
    "eos_token_id",
)

FIXED_FIELDS: dict[str, tuple[tuple[Any, ...], str]] = {
    "hidden_act": (("silu", None), "experts are SwiGLU"),
    "moe_router_score_function": (("softmax", None), "the router's scores are a softmax"),
    "scoring_func": (("softmax", None), "the router's scores are a softmax"),
    "score_function": (("softmax", None), "the router's scores are a softmax"),
    "norm_topk_prob": ((False, None), "the published code never renormalises the weights of the chosen experts"),
    "routed_scaling_factor": ((1, None), "the experts' sum is added as it is"),
    "n_group": ((0, 1, -2, None), "experts are chosen among all, not by groups; -2 is the class's default"),
    "topk_group": ((0, 1, -2, None), "experts are chosen among all, not by groups"),
    "router_num_group": ((0, 1, -2, None), "experts are chosen among all, not by groups; -2 is the class's default"),
    "router_topk_group": ((0, 1, -2, None), "experts are chosen among all, not by groups; -2 is the class's default"),
    "expert_capacity": ((0, None), "a token takes its experts whatever others take"),
    "num_shared_experts": ((0, None), "no expert serves every token"),
    "n_shared_experts": ((0, None), "no expert serves every token"),
    "shared_expert_intermediate_size": ((0, -1, None), "no expert serves every token; -1 is the class's default"),
    "first_k_dense_replace": ((0, None), "every layer has experts"),
    "tie_word_embeddings": ((False, None), "embedding and head are two matrices"),
    "attention_bias": ((False, None), "no projection adds a bias"),
    "qkv_bias": ((False, None), "no projection adds a bias"),
    "mlp_bias": ((False, None), "no projection adds a bias"),
    "use_bias": ((False, None), "no projection adds a bias"),
    "qk_layernorm": ((True,), "null and false mean a model without head norms"),
    "use_qk_norm": ((True, None), "another spelling of qk_layernorm"),
    "clip_qkv": ((None,), "q, k and v are not clamped"),
    "partial_rotary_factor": ((1, -1, None), "rotary embedding turns the whole head; -1 is the class's default"),
    "sliding_window": ((None,), "every position sees every other"),
    "use_sliding_window": ((False, None), "every position sees every other"),
    "is_causal": ((False, None), "every position sees every other"),
    "is_decoder": ((False, None), "every position sees every other"),
    "is_encoder_decoder": ((False, None), "there is one stack of layers"),
    "add_cross_attention": ((False, None), "there is one stack of layers"),
    "logit_softcap": ((None,), "logits are not capped"),
    "final_logit_softcapping": ((None,), "logits are not capped"),
    "attn_logit_softcapping": ((None,), "attention scores are not capped"),
    "quantization_config": ((None,), "weights are plain floating point"),
    "pruned_heads": (({}, None), "every head is there"),
}
"""Name to the values under which the model is the one we compute, and why these."""

HARMLESS_FIELDS: dict[str, str] = {
    "architectures": "names a class; tensors and model_type decide",
    "auto_map": "where transformers finds the published code",
    "transformers_version": "a record",
    "_name_or_path": "a record",
    "name_or_path": "a record",
    "dtype": "the tensors' headers have theirs",
    "torch_dtype": "the tensors' headers have theirs",
    "attn_implementation": "one of several programs for the same attention",
    "_attn_implementation": "one of several programs for the same attention",
    "_attn_implementation_autoset": "one of several programs for the same attention",
    "use_cache": "keys are computed anew in every step",
    "initializer_range": "training only",
    "attention_dropout": "training only",
    "hidden_dropout": "training only",
    "embedding_dropout": "training only",
    "residual_dropout": "training only",
    "output_dropout": "training only",
    "router_aux_loss_coef": "training only",
    "router_z_loss_coef": "training only",
    "router_jitter_noise": "training only",
    "output_router_logits": "an extra output",
    "output_hidden_states": "an extra output",
    "output_attentions": "an extra output",
    "return_dict": "the form of the output",
    "use_return_dict": "the form of the output",
    "torchscript": "the form of the program",
    "use_bfloat16": "the form of the program",
    "chunk_size_feed_forward": "the same sums in parts",
    "tie_encoder_decoder": "there is one stack of layers",
    "cross_attention_hidden_size": "there is one stack of layers",
    "dense_intermediate_size": "width of layers without experts, and every layer has them (moe_layer_freq)",
    "intermediate_size": "width of layers without experts, and every layer has them (moe_layer_freq)",
    "pad_token_id": "sequences are not padded",
    "bos_token_id": "prompts are taken as they are",
    "sep_token_id": "prompts are taken as they are",
    "decoder_start_token_id": "prompts are taken as they are",
    "prefix": "prompts are taken as they are",
    "tokenizer_class": "tokenizer.json is the tokenizer",
    "finetuning_task": "a record",
    "task_specific_params": "a record",
    "problem_type": "classification only",
    "id2label": "classification only",
    "label2id": "classification only",
    **dict.fromkeys(
        (
            *("max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups"),
            *("diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty"),
            *("length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
            *("num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id"),
            *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
            *("suppress_tokens", "begin_suppress_tokens"),
        ),
        "asks for autoregressive generation; the sampler's own parameters decide",
    ),
}
"""Name to why no value of it changes what is computed."""


def check_fields(raw: dict[str, Any]) -> None:
    """Raise `UserError` for the first field that asks for another model, or is not known and not null."""
    for name, value in raw.items():
        if name in FIXED_FIELDS:
            values, reason = FIXED_FIELDS[name]
            if value not in values or (isinstance(value, bool) and not any(value is known for known in values)):
                raise UserError(
                    f"{name} is {value!r}, and only {values[0]!r} is supported ({reason}); give a checkpoint that has "
                    "it so"
                )
        elif name not in USED_FIELDS and name not in HARMLESS_FIELDS and value is not None:
            raise UserError(
                f"field {name} ({value!r:.40}) is not known here and could change the model; remove it if it does not"
            )
