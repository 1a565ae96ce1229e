"""Random small checkpoints in Hugging Face form, for tests, and ways to break them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsReader, SafetensorsWriter
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = [
    "CHIP_FORMATS",
    "chip_config",
    "edit_index",
    "edit_json",
    "edit_shard",
    "holder",
    "published_config",
    "random_tensor",
    "refusal",
    "shapes_of",
    "shards",
    "tiny_config",
    "tiny_model",
    "write_chip_checkpoint",
    "write_random_checkpoint",
]


def tiny_config(**changes: Any) -> dict[str, Any]:
    """A `config.json`: two layers, four experts, no width a power of two; any field can be changed."""
    fields: dict[str, Any] = {
        "architectures": ["LLaDAMoEModelLM"],
        "model_type": "llada",
        "vocab_size": 23,
        "hidden_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "expert_intermediate_size": 33,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "qk_layernorm": True,
        "hidden_act": "silu",
        "moe_router_score_function": "softmax",
        "norm_topk_prob": False,
        "rope_theta": 50000.0,
        "rope_scaling": None,
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": 64,
        "mask_token_id": 21,
        "eos_token_id": 22,
        "tie_word_embeddings": False,
    }
    return fields | changes


CHIP_FORMATS = {"head": "int8", "v": "mxfp6", "down": "mxfp6"}
"""Of kinds of matrix of the tiny chip; the others are in mxfp4."""


def chip_config() -> dict[str, Any]:
    """Of the tests' chip: three experts with biases, a vocabulary that is no multiple of the lanes."""
    sizes = {"hidden_size": 16, "expert_intermediate_size": 16, "num_experts": 3, "vocab_size": 19}
    return tiny_config(**sizes, moe_router_enable_expert_bias=True, mask_token_id=17, eos_token_id=18)


def write_chip_checkpoint(path: Path, seed: int) -> Path:
    """A checkpoint of `chip_config` whose biases make weights below 0 and above 1; return it."""
    biases = {f"model.layers.{n}.mlp.expert_bias": torch.tensor([-0.75, 0.625, -0.3]) for n in range(2)}
    return write_random_checkpoint(path, chip_config(), seed=seed, replace=biases)


def tiny_model(**changes: Any) -> ModelShape:
    """The model of `tiny_config`."""
    return shape_of(tiny_config(**changes))


def published_config(**changes: Any) -> dict[str, Any]:
    """LLaDA-MoE-7B-A1B."""
    return read_preset("llada-moe-7b") | changes


def shapes_of(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of a model, in the order in which a token meets them."""
    return {tensor.name: tensor.shape for tensor in shape_of(config).tensors()}


def random_tensor(name: str, shape: tuple[int, ...], seed: int, position: int) -> torch.Tensor:
    """Float32: matrices of variance 1 / columns, gains around 1, biases around 0; a function of the arguments alone."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed * 1_000_003 + position))
    if len(shape) == 2:
        return noise * shape[1] ** -0.5
    return noise * 0.01 if name.endswith("bias") else 1 + noise * 0.1


def write_random_checkpoint(
    path: Path,
    config: dict[str, Any] | None = None,
    *,
    seed: int = 0,
    shards: int = 2,
    dtype: torch.dtype = torch.bfloat16,
    replace: dict[str, torch.Tensor] | None = None,
) -> Path:
    """Write a checkpoint to the folder `path`, tensor by tensor, and return it.

    `shards` 0 writes a single file without an index. `replace` maps names to tensors that stand for the random ones, in
    their own dtype and shape.
    """
    config = config or tiny_config()
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config, indent=1))
    replace = replace or {}
    shapes = shapes_of(config)
    positions = {name: position for position, name in enumerate(shapes)}
    names = list(shapes)
    files = {f"model-{i + 1:05}-of-{shards:05}.safetensors": names[i::shards] for i in range(shards)}
    for file, held in (files or {"model.safetensors": names}).items():
        kinds = {
            name: (replace[name].dtype, tuple(replace[name].shape)) if name in replace else (dtype, shapes[name])
            for name in held
        }
        with SafetensorsWriter(path / file, kinds, {"format": "pt"}) as writer:
            for name in held:
                tensor = replace.get(name)
                random = random_tensor(name, shapes[name], seed, positions[name])
                writer.write(name, random.to(dtype) if tensor is None else tensor)
    if files:
        weight_map = {name: file for file, held in files.items() for name in held}
        index = {"metadata": {}, "weight_map": dict(sorted(weight_map.items()))}
        (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    return path


def edit_json(path: Path, **changes: object) -> None:
    """Set fields; `...` removes one."""
    contents = json.loads(path.read_text())
    contents.update(changes)
    path.write_text(json.dumps({key: value for key, value in contents.items() if value is not ...}))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def holder(folder: Path, name: str) -> Path:
    return next(shard for shard in shards(folder) if name in SafetensorsReader(shard).entries)


def edit_shard(path: Path, changes: dict[str, torch.Tensor | None]) -> None:
    """Rewrite a shard by the safetensors library with tensors replaced, added or (None) removed."""
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()} | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def edit_index(folder: Path, **changes: str | None) -> None:
    path = folder / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text())["weight_map"] | changes
    edit_json(path, weight_map={name: shard for name, shard in weight_map.items() if shard is not None})


def refusal(folder: Path) -> str:
    """The one sentence with which the folder is refused."""
    with pytest.raises(UserError) as caught:
        Checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message
