"""What a checkpoint means by readers that are not ours: Python's JSON, safetensors, tokenizers, published code."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer

from hardloom.golden.checkpoints.families import family_of
from hardloom.golden.checkpoints.families.llada_moe import RULES
from hardloom.golden.checkpoints.families.rules import HARMLESS
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.shape import ModelShape
from tests.fuzz.checkpoints.meaning import CONFIG, INDEX, PROMPT, TOKENIZER, digest
from tests.published_models import FAMILIES

__all__ = ["check_config", "check_family", "check_ids", "check_tensors"]

LARGEST_LOGIT = 1e4
"""Beyond it a float32 model that was spoiled is as far from the same one in float64 as from any."""

REPEATS = {
    "moe_intermediate_size": "expert_intermediate_size",
    "n_routed_experts": "num_experts",
    "num_local_experts": "num_experts",
    "use_qk_norm": "qk_layernorm",
}


def check_config(folder: Path, original: Path, found: dict[str, Any]) -> None:
    """The fields found are those of the file, and no other field asks for another model."""
    raw = json.loads((folder / CONFIG).read_bytes().decode())
    before = json.loads((original / CONFIG).read_bytes())
    said = {name: value for name, value in raw.items() if value is not None}
    said.setdefault("num_key_value_heads", said.get("num_attention_heads"))
    said.setdefault("moe_router_enable_expert_bias", False)
    said.setdefault("qk_layernorm", False)
    said.setdefault("clip_qkv", None)
    said.setdefault("rope_theta", (said.get("rope_parameters") or {}).get("rope_theta"))
    layers = said.get("moe_layer_freq", 1)
    said["moe_layer_freq"] = [layers] * said["num_hidden_layers"] if type(layers) is int else layers
    said["eos_token_id"] = said["eos_token_id"] if isinstance(said["eos_token_id"], list) else [said["eos_token_id"]]
    for name, neutral in (("shared_expert_intermediate_size", 0), ("partial_rotary_factor", 1.0)):
        said[name] = neutral if said.get(name) in (None, -1) else said[name]
    for name, value in found.items():
        assert value == said[name] and isinstance(value, bool) == isinstance(said[name], bool), name
    for name, value in said.items():
        if name in found or name in {**HARMLESS, **RULES.harmless} or name not in raw:
            continue
        neutral = RULES.fixed.get(name, ((found.get(REPEATS.get(name, "")),), ""))[0]
        plain_rope = {"rope_type": "default", "rope_theta": found["rope_theta"]}
        same = value in (before.get(name), *neutral) or (name == "moe_layer_freq" and value == 1)
        assert same or (name.startswith("rope_") and value.items() <= plain_rope.items()), name


def check_tensors(folder: Path, found: dict[str, str]) -> None:
    """The safetensors library reads the same tensors from the same folder."""
    files = [folder / "model.safetensors"]
    if (folder / INDEX).exists():
        files = [folder / name for name in set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())]
    read = {}
    for file in files:
        with safe_open(file, "pt") as tensors:
            read |= {name: digest(tensors.get_tensor(name)) for name in tensors.keys()}  # noqa: SIM118
    assert found.items() <= read.items()
    assert all("bias" in name or "inv_freq" in name for name in set(read) - set(found))


def check_ids(folder: Path, found: list[int] | None, vocabulary: int) -> None:
    """The tokenizers library gives the same ids, and they stand for every character of the prompt."""
    if found is None:
        assert not (folder / TOKENIZER).exists()
        return
    tokenizer = Tokenizer.from_str((folder / TOKENIZER).read_bytes().decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoding = tokenizer.encode(PROMPT, add_special_tokens=False)
    assert found == encoding.ids and all(0 <= number < vocabulary for number in found)
    assert "".join(PROMPT[begin:end] for begin, end in encoding.offsets) == PROMPT


def check_family(folder: Path, original: Path, name: str, model: ModelShape, before: ModelShape) -> None:
    """Another model follows from a field that is read; of the same one the published code computes the same logits."""
    config, direct = FAMILIES[name]
    raw, was = (json.loads((path / CONFIG).read_bytes().decode()) for path in (folder, original))
    changed = {field for field in {**raw, **was} if raw.get(field) != was.get(field)}
    rules = family_of(config).rules
    if replace(model, name="") != replace(before, name=""):
        assert changed & {*rules.used}, f"another model without a field of it: {sorted(changed)}"
        return
    tokens = torch.tensor([1, 0, 2, 5, 3])
    weights = {name: tensor.double() for name, tensor in load_file(folder / "model.safetensors").items()}
    with torch.inference_mode():
        found, expected = FloatModel.from_checkpoint(folder).double()(tokens[None])[0], direct(weights, tokens)
    if expected.isfinite().all() and expected.abs().max() < LARGEST_LOGIT:
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max(), "the published code says something else"
