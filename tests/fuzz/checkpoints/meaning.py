"""What the product makes of a checkpoint."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hardloom.flows.models.info import info, info_parts
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.tokenizer import encode_prompt, load_tokenizer
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import DenseShape, ExpertsShape, ModelShape
from hardloom.golden.units.numerics import Numerics

__all__ = ["CONFIG", "INDEX", "PROMPT", "TOKENIZER", "Meaning", "digest", "fields_of", "meaning"]

CONFIG, INDEX, TOKENIZER = "config.json", "model.safetensors.index.json", "tokenizer.json"
PROMPT = "abacab"


@dataclass(frozen=True)
class Meaning:
    """All that a checkpoint means: its model, its tensors, the ids of `PROMPT`, the integers of the chip for them."""

    model: ModelShape
    tensors: dict[str, str]
    ids: list[int] | None
    integers: str


def digest(tensor: torch.Tensor) -> str:
    kind = f"{tensor.dtype} {list(tensor.shape)} ".encode()
    return hashlib.sha256(kind + tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def fields_of(model: ModelShape) -> dict[str, Any]:
    """The fields of a `config.json` that say what was read."""
    attention, experts = model.layers[0].attention, [layer.mlp for layer in model.layers]
    routed = [mlp for mlp in experts if isinstance(mlp, ExpertsShape)]
    dense = [mlp.intermediate_size for mlp in experts if isinstance(mlp, DenseShape)]
    found: dict[str, Any] = {
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": attention.num_heads,
        "num_key_value_heads": attention.num_key_value_heads,
        "rope_theta": attention.rope_theta,
        "partial_rotary_factor": attention.rotary_dim / attention.head_dim,
        "qk_layernorm": attention.head_norms,
        "clip_qkv": attention.clip,
        "rms_norm_eps": model.rms_norm_eps,
        "max_position_embeddings": model.max_position_embeddings,
        "mask_token_id": model.mask_token_id,
        "eos_token_id": list(model.eos_token_ids),
        "moe_layer_freq": [int(isinstance(mlp, ExpertsShape)) for mlp in experts],
    }
    if routed:
        found |= {"num_experts": routed[0].num_experts, "num_experts_per_tok": routed[0].top_k}
        found |= {"expert_intermediate_size": routed[0].intermediate_size}
        found |= {"shared_expert_intermediate_size": routed[0].shared_size}
        found |= {"moe_router_enable_expert_bias": routed[0].bias == "mixing"}
    return found | ({"dense_intermediate_size": dense[0]} if dense else {})


def meaning(folder: Path, out: Path) -> Meaning:
    """What the product makes of a folder, quantized to `out`; raises its `UserError`."""
    assert list(info_parts(info(folder, config_only=False, scan=True)))
    checkpoint = Checkpoint(folder)
    tensors = {tensor.name: digest(checkpoint.tensor(tensor.name)) for tensor in checkpoint.model.tensors()}
    tokenizer, vocabulary = load_tokenizer(folder), checkpoint.model.vocab_size
    ids = None if tokenizer is None else encode_prompt(folder, tokenizer, PROMPT, vocabulary)
    quantize_checkpoint(folder, out, "mxfp4", numerics=Numerics())
    values = IntegerModel(QuantizedCheckpoint(out)).forward(torch.tensor([ids or [1, 0, 2]]))
    return Meaning(checkpoint.model, tensors, ids, digest(values))
