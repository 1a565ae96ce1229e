"""Keys of a GGUF file: used, known to change nothing, or refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardloom.golden.checkpoints.gguf_tokenizer import LISTS
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["FIELDS", "check_keys", "whole_numbers"]

FIELDS = {
    "vocab_size": "llama.vocab_size",
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_hidden_layers": "llama.block_count",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
    "rope_theta": "llama.rope.freq_base",
    "max_position_embeddings": "llama.context_length",
    "eos_token_id": "tokenizer.ggml.eos_token_id",
}
"""Field of `config.json` to key of the file."""

HARMLESS = (
    *("general.", "GGUF.", "quantize."),
    *("tokenizer.chat_template", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"),
    *(f"tokenizer.ggml.{name}_token_id" for name in ("bos", "unknown", "padding", "seperator", "cls", "mask", "eot")),
    *("tokenizer.ggml.scores", "tokenizer.ggml.precompiled_charsmap"),
)
"""Beginnings of keys that say nothing of what is computed; what is put before a prompt, the prompt says."""

READ = (*FIELDS.values(), *(f"tokenizer.ggml.{name}" for name in ("model", "pre", *LISTS)))
"""Keys that decide the checkpoint that is written."""

Fits = Callable[[Any, ModelShape], bool]

NEUTRAL: dict[str, Fits] = {
    **dict.fromkeys(
        ("llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length"),
        lambda value, model: value == model.layers[0].attention.head_dim,
    ),
    **dict.fromkeys(("llama.expert_count", "llama.expert_used_count"), lambda value, model: value == 0),
    **dict.fromkeys(
        ("llama.rope.scale_linear", "llama.rope.scaling.factor", "llama.logit_scale"), lambda value, model: value == 1
    ),
    **dict.fromkeys(("llama.embedding_scale", "llama.residual_scale"), lambda value, model: value == 1),
    "llama.rope.scaling.type": lambda value, model: value == "none",
    "llama.attention.causal": lambda value, model: value is True,
    "tokenizer.ggml.add_space_prefix": lambda value, model: value is False,
    "split.count": lambda value, model: value == 1,
    "split.no": lambda value, model: value == 0,
    "split.tensors.count": lambda value, model: True,
}
"""Keys that change nothing where they have the value of a plain model."""


def check_keys(file: Path, values: dict[str, Any], model: ModelShape) -> None:
    """Raise `UserError` for the first key that would make another model of the file than `model`."""
    for name, value in values.items():
        if name in READ or name.startswith(HARMLESS):
            continue
        if name not in NEUTRAL or not NEUTRAL[name](value, model):
            said = f"{value!r:.40}"
            raise UserError(
                f"{file}: {name!r:.60} = {said} is not read from GGUF, and would change the model; give another file"
            )


def whole_numbers(file: Path, values: dict[str, Any]) -> None:
    """Raise `UserError` where one of the keys' `values` is no whole number, or a negative one, or a size is zero."""
    for name, value in values.items():
        if type(value) is not int or value < (0 if name.endswith("token_id") else 1):
            raise UserError(f"{file}: {name} is {value!r:.40}, and should be a whole number above zero")
