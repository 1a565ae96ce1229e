"""Adapters of low rank (LoRA, arXiv 2106.09685) as PEFT writes them: `adapter_config.json` beside safetensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hardloom.golden.checkpoints.families import Family, family_of
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsReader
from hardloom.golden.checkpoints.stored import WEIGHT_DTYPES
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MOST_RANK, ModelShape, TensorShape

__all__ = ["KINDS", "LORA_CONFIG", "LORA_TENSORS", "LowRank", "read_lora"]

LORA_CONFIG, LORA_TENSORS = "adapter_config.json", "adapter_model.safetensors"
KINDS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""Of matrices that may have an adapter."""

NOTHING: tuple[Any, ...] = (None, False, {}, [])
FIXED: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),  # others change the model's weights too
    **dict.fromkeys(("use_dora", "lora_bias", "fan_in_fan_out", "modules_to_save", "rank_pattern"), NOTHING),
    **dict.fromkeys(("alpha_pattern", "layer_replication", "trainable_token_indices", "use_qalora"), NOTHING),
    **dict.fromkeys(("target_parameters", "alora_invocation_tokens", "arrow_config"), NOTHING),
}
"""Fields that change what is computed, and the values with which it is what is computed here; all may be left out."""


@dataclass(frozen=True)
class LowRank:
    """What is added to a matrix: up @ down.

    Attributes
    ----------
    down: float32 [rank, inputs], PEFT's A. up: float32 [rows, rank], its B times alpha / rank.
    """

    down: Tensor
    up: Tensor


def read_lora(path: Path, raw: dict[str, Any], model: ModelShape) -> dict[str, LowRank]:
    """Name of a matrix of the model to its adapter, from the folder `path`. raw: fields of the model's `config.json`.

    Raises `UserError` naming file, field or tensor, and the remedy.
    """
    rank, scale = read_rank(path / LORA_CONFIG)
    reader = SafetensorsReader(path / LORA_TENSORS)
    reader.check_layout()
    found, used = dict[str, LowRank](), set[str]()
    for tensor, down, up, first, rows in places(family_of(raw), model):
        if {down, up} & reader.entries.keys():
            used |= {down, up}
            a, b = checked(reader, down, (rank, tensor.shape[1])), checked(reader, up, (rows, rank), scale)
            found[tensor.name] = LowRank(a, b[first : first + tensor.shape[0]])
    if strange := sorted(reader.entries.keys() - used):
        raise UserError(
            f"{reader.path}: {strange[0]} is of no q, k, v or o of the {len(model.layers)} layers of this model; train "
            "an adapter of these alone, for this model"
        )
    if not found:
        raise UserError(f"{reader.path}: holds no adapter; give a folder that PEFT has written")
    return found


def read_rank(path: Path) -> tuple[int, float]:
    """Rank, and by what B is to be multiplied."""
    if not path.is_file():
        raise UserError(f"{path}: the file does not exist; give --adapter a folder that PEFT has written")
    fields = read_json_object(path)
    for name, allowed in FIXED.items():
        if fields.get(name, allowed[0]) not in allowed:
            raise UserError(f"{path}: {name} is {fields[name]!r:.60}, which no adapter here has; train one without it")
    rank, alpha = fields.get("r"), fields.get("lora_alpha", 8)
    if type(rank) is not int or not 1 <= rank <= MOST_RANK:
        raise UserError(f"{path}: r is {rank!r:.60}; train an adapter of rank 1 to {MOST_RANK}")
    if type(alpha) not in (int, float) or not abs(alpha) < 1e6:
        raise UserError(f"{path}: lora_alpha is {alpha!r:.60}; give a number")
    return rank, alpha / (rank**0.5 if fields.get("use_rslora") else rank)


def places(family: Family, model: ModelShape) -> Iterator[tuple[TensorShape, str, str, int, int]]:
    """Every matrix that may have an adapter, the names of A and B, its first row in B, and the rows of B."""
    for tensor in model.matrices():
        if tensor.kind in KINDS:
            for place in family.places(tensor, model):
                module = f"base_model.model.{place.stored.removesuffix('.weight')}"
                first, rows = place.first or 0, place.shape[0]
                yield tensor, f"{module}.lora_A.weight", f"{module}.lora_B.weight", first, rows


def checked(reader: SafetensorsReader, name: str, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
    """A tensor times `scale` as float32, finite and of this shape."""
    if (entry := reader.entries.get(name)) is None:
        raise UserError(f"{reader.path}: {name} is missing, the other half of a pair; save the adapter again")
    if entry.shape != shape:
        raise UserError(
            f"{reader.path}: {name} is of shape {[*entry.shape]}, where this model and the rank say {[*shape]}; give "
            "an adapter of this model"
        )
    if entry.dtype not in WEIGHT_DTYPES:
        raise UserError(
            f"{reader.path}: {name} has dtype {entry.dtype}, and only {', '.join(WEIGHT_DTYPES)} are supported; save "
            "the adapter in float32"
        )
    values = reader.tensor(name).float() * scale
    if not bool(torch.isfinite(values).all()):
        raise UserError(f"{reader.path}: {name} holds a number that is not finite, or too large; train it again")
    return values
