"""A small configuration of every family, by its real fields, and the family's published code once more, directly.

These computations know nothing of `golden.shape`: each is written from what the family's authors publish.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import linear, silu

from hardloom.golden.checkpoints.families import family_of, shape_of
from tests.checkpoints import random_tensor

__all__ = ["DREAM", "FAMILIES", "LLADA", "LLADA2", "Weights", "write_family"]

Weights = dict[str, Tensor]
HEAD = 8

COMMON = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "silu"}
COMMON |= {"max_position_embeddings": 64, "rms_norm_eps": 1e-6, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
LLADA_MOE = COMMON | {
    "architectures": ["LLaDAMoEModelLM"],
    "model_type": "llada",
    "expert_intermediate_size": 24,
    "dense_intermediate_size": 48,
    "shared_expert_intermediate_size": 16,
    "num_experts": 6,
    "num_experts_per_tok": 3,
    "num_key_value_heads": 2,
    "moe_layer_freq": [0, 1],
    "moe_router_enable_expert_bias": True,
    "moe_router_score_function": "softmax",
    "norm_topk_prob": None,
    "qk_layernorm": True,
    "clip_qkv": 0.9,
    "partial_rotary_factor": -1,
    "router_num_group": -2,
    "router_topk_group": -2,
    "routed_scaling_factor": 1,
    "rope_theta": 50000,
    "rope_scaling": None,
    "mask_token_id": 38,
    "eos_token_id": 39,
}
LLADA2 = COMMON | {
    "architectures": ["LLaDA2MoeModelLM"],
    "model_type": "llada2_moe",
    "num_key_value_heads": 2,
    "head_dim": 16,
    "moe_intermediate_size": 24,
    "intermediate_size": 48,
    "first_k_dense_replace": 1,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_shared_experts": 2,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
    "score_function": "sigmoid",
    "norm_topk_prob": True,
    "moe_router_enable_expert_bias": True,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    "use_bias": False,
    "norm_head": False,
    "router_dtype": "fp32",
    "partial_rotary_factor": 0.5,
    "rotary_dim": 8,
    "rope_theta": 600000,
    "sliding_window": 4096,
    "max_window_layers": 20,
    "use_sliding_window": False,
    "pad_token_id": 39,
    "mask_token_id": 38,
    "eos_token_id": 39,
    "block_size": 4,
}
LLADA22 = LLADA2 | {"expert_capacity": 3, "eos_token_id": [39, 37], "delete_token_id": 36, "split_token_id": 35}
LLADA = {
    "model_type": "llada",
    "architectures": ["LLaDAModelLM"],
    "activation_type": "silu",
    "block_type": "llama",
    "block_group_size": 1,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "mlp_hidden_size": 48,
    "embedding_size": 40,
    "vocab_size": 40,
    "layer_norm_type": "rms",
    "rms_norm_eps": 1e-5,
    "rope": True,
    "rope_full_precision": True,
    "rope_theta": 500000.0,
    "max_sequence_length": 64,
    "include_bias": False,
    "include_qkv_bias": False,
    "weight_tying": False,
    "alibi": False,
    "multi_query_attention": None,
    "scale_logits": False,
    "flash_attention": False,
    "mask_token_id": 38,
    "eos_token_id": 39,
    "pad_token_id": 39,
}
DREAM = COMMON | {
    "model_type": "Dream",
    "architectures": ["DreamModel"],
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "rope_theta": 1000000.0,
    "rope_scaling": None,
    "sliding_window": None,
    "use_sliding_window": False,
    "max_window_layers": 28,
    "use_mrope": False,
    "mask_token_id": 38,
    "eos_token_id": 39,
    "bos_token_id": 39,
    "pad_token_id": 39,
}
LLAMA = COMMON | {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "mlp_bias": False,
    "rope_theta": 100000,
    "rope_interleaved": False,
    "is_llama_config": True,
    "pretraining_tp": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def norm(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    y = x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return y if weight is None else y * weight


def turned(x: Tensor, theta: float, width: int) -> Tensor:
    """Rotary embedding of the first `width` elements of x [positions, heads, head_dim], by complex numbers."""
    half = width // 2
    angle = torch.arange(len(x))[:, None] * theta ** (-torch.arange(half).double() / half)
    pairs = torch.complex(x[..., :half], x[..., half:width]) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat([pairs.real, pairs.imag, x[..., width:]], -1)


def attended(q: Tensor, k: Tensor, v: Tensor, seen: Callable[[int, int], bool]) -> Tensor:
    """[positions, heads, head_dim] each, one query head after the other, one query at a time."""
    out = torch.zeros_like(q)
    shared = q.shape[1] // k.shape[1]
    for head in range(q.shape[1]):
        for p in range(len(q)):
            there = [o for o in range(len(k)) if seen(p, o)]
            scores = torch.stack([q[p, head] @ k[o, head // shared] for o in there]) / math.sqrt(q.shape[-1])
            out[p, head] = torch.stack([v[o, head // shared] for o in there]).T @ scores.softmax(0)
    return out.flatten(1)


def network(x: Tensor, w: Weights, base: str, gate: str = "gate_proj", down: str = "down_proj") -> Tensor:
    hidden = silu(linear(x, w[f"{base}{gate}.weight"])) * linear(x, w[f"{base}up_proj.weight"])
    return linear(hidden, w[f"{base}{down}.weight"])


def everything(p: int, o: int) -> bool:
    return True


def llada_moe(w: Weights, tokens: Tensor) -> Tensor:
    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(2):
        base = f"model.layers.{layer}."
        h = norm(x, w[base + "input_layernorm.weight"])
        q, k, v = (linear(h, w[f"{base}self_attn.{n}_proj.weight"]).unflatten(1, (-1, HEAD)) for n in "qkv")
        q, k = (norm(y, w[f"{base}self_attn.{n}_norm.weight"]) for n, y in (("q", q), ("k", k)))
        q, k, v = (y.clamp(-0.9, 0.9) for y in (q, k, v))
        y = attended(turned(q, 50000, HEAD), turned(k, 50000, HEAD), v, everything)
        x = x + linear(y, w[base + "self_attn.o_proj.weight"])
        h, base = norm(x, w[base + "post_attention_layernorm.weight"]), base + "mlp."
        if layer == 0:
            x = x + network(h, w, base)
            continue
        routed = torch.zeros_like(h)
        scores = linear(h, w[base + "gate.weight"]).softmax(-1) + w[base + "expert_bias"]
        for p, row in enumerate(scores):
            for e in row.argsort(descending=True)[:3]:
                routed[p] += row[e] * network(h[p], w, f"{base}experts.{e}.")
        x = x + routed + network(h, w, base + "shared_expert.")
    return linear(norm(x, w["model.norm.weight"]), w["lm_head.weight"])


def llada2_routes(scores: Tensor, biased: Tensor, capacity: int) -> list[tuple[list[int], Tensor]]:
    """Experts and weights of every token; blocks of 4."""
    found = []
    for p in range(len(scores)):
        if capacity:
            block = biased[p // 4 * 4 : p // 4 * 4 + 4].amax(0)
            allowed = set(block.argsort(descending=True)[:capacity].tolist())
        else:
            groups = biased[p].view(4, 2).sum(-1)  # of two experts each, so that the best two are all
            allowed = {2 * g + i for g in groups.argsort(descending=True)[:2].tolist() for i in range(2)}
        chosen = sorted(allowed, key=lambda e: -float(biased[p, e]))[:2]
        weights = scores[p, chosen]
        found.append((chosen, weights / (weights.sum() + 1e-20) * 2.5))
    return found


def llada2(w: Weights, tokens: Tensor, capacity: int = 0) -> Tensor:
    x = w["model.word_embeddings.weight"][tokens]
    for layer in range(2):
        base = f"model.layers.{layer}."
        h = norm(x, w[base + "input_layernorm.weight"])
        fused = linear(h, w[base + "attention.query_key_value.weight"]).unflatten(1, (4 + 2 + 2, 16))
        q, k, v = fused.split([4, 2, 2], dim=1)
        q, k = (
            norm(q, w[base + "attention.query_layernorm.weight"]),
            norm(k, w[base + "attention.key_layernorm.weight"]),
        )
        y = attended(turned(q, 600000, 8), turned(k, 600000, 8), v, lambda p, o: p // 4 >= o // 4)
        x = x + linear(y, w[base + "attention.dense.weight"])
        h, base = norm(x, w[base + "post_attention_layernorm.weight"]), base + "mlp."
        if layer == 0:
            x = x + network(h, w, base)
            continue
        scores, routed = linear(h, w[base + "gate.weight"]).sigmoid(), torch.zeros_like(h)
        for p, (chosen, weights) in enumerate(llada2_routes(scores, scores + w[base + "gate.expert_bias"], capacity)):
            for e, weight in zip(chosen, weights, strict=True):
                routed[p] += weight * network(h[p], w, f"{base}experts.{e}.")
        x = x + routed + network(h, w, base + "shared_experts.")
    return linear(norm(x, w["model.norm.weight"]), w["lm_head.weight"])


def llada22(w: Weights, tokens: Tensor) -> Tensor:
    return llada2(w, tokens, capacity=3)


def llada(w: Weights, tokens: Tensor) -> Tensor:
    x = w["model.transformer.wte.weight"][tokens]
    for layer in range(2):
        base = f"model.transformer.blocks.{layer}."
        h = norm(x, w[base + "attn_norm.weight"], 1e-5)
        q, k, v = (linear(h, w[f"{base}{n}_proj.weight"], w.get(f"{base}{n}_proj.bias")) for n in "qkv")
        q, k, v = (y.unflatten(1, (-1, HEAD)) for y in (q, k, v))
        y = attended(turned(q, 500000, HEAD), turned(k, 500000, HEAD), v, everything)
        x = x + linear(y, w[base + "attn_out.weight"])
        x = x + network(norm(x, w[base + "ff_norm.weight"], 1e-5), w, base, "ff_proj", "ff_out")
    return linear(norm(x, w["model.transformer.ln_f.weight"], 1e-5), w["model.transformer.ff_out.weight"])


def qwen_like(w: Weights, tokens: Tensor, theta: float, biased: bool, head: str, seen) -> Tensor:
    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(2):
        base = f"model.layers.{layer}."
        h, qkv = norm(x, w[base + "input_layernorm.weight"]), []
        for n in "qkv":
            name = f"{base}self_attn.{n}_proj."
            qkv.append(linear(h, w[name + "weight"], w[name + "bias"] if biased else None).unflatten(1, (-1, HEAD)))
        y = attended(turned(qkv[0], theta, HEAD), turned(qkv[1], theta, HEAD), qkv[2], seen)
        x = x + linear(y, w[base + "self_attn.o_proj.weight"])
        x = x + network(norm(x, w[base + "post_attention_layernorm.weight"]), w, base + "mlp.")
    return linear(norm(x, w["model.norm.weight"]), w[head])


def dream(w: Weights, tokens: Tensor) -> Tensor:
    return qwen_like(w, tokens, 1000000, True, "lm_head.weight", everything)


def llama(w: Weights, tokens: Tensor) -> Tensor:
    head = "lm_head.weight" if "lm_head.weight" in w else "model.embed_tokens.weight"
    return qwen_like(w, tokens, 100000, False, head, lambda p, o: p >= o)


FAMILIES = {
    "LLaDA-MoE": (LLADA_MOE, llada_moe),
    "LLaDA2.0": (LLADA2, llada2),
    "LLaDA2.2": (LLADA22, llada22),
    "LLaDA": (LLADA, llada),
    "LLaDA, biased": (LLADA | {"include_qkv_bias": True}, llada),
    "Dream": (DREAM, dream),
    "Llama": (LLAMA, llama),
}


def write_family(path: Path, name: str, elements: dict[str, float] | None = None) -> Path:
    """A checkpoint of random float32 tensors under a family's own names; return it.

    elements: first elements of vectors, by the vector's name in `golden.shape`.
    """
    config = FAMILIES[name][0]
    model = shape_of(config)
    places = {tensor.name: family_of(config).places(tensor, model)[0] for tensor in model.tensors()}
    stored = {place.stored: place.shape for place in places.values()}
    tensors = {n: random_tensor(n, shape, 4, at) for at, (n, shape) in enumerate(stored.items())}
    for vector, value in (elements or {}).items():
        tensors[places[vector].stored][0] = value
    path.mkdir()
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    (path / "config.json").write_text(json.dumps(config))
    return path
