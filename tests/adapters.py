"""Random LoRA adapters in the form of PEFT, of the attention of any family."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from hardloom.golden.checkpoints.families import family_of, shape_of
from hardloom.golden.checkpoints.lora import LORA_CONFIG, LORA_TENSORS

__all__ = ["adapted_modules", "write_adapter"]

KINDS = ("q_proj", "k_proj", "v_proj", "o_proj")


def adapted_modules(config: dict[str, Any], kinds: tuple[str, ...] = KINDS) -> dict[str, tuple[int, ...]]:
    """Stored names, without `.weight`, of the matrices of such kinds, each with its shape; fused ones once."""
    model = shape_of(config)
    places = [family_of(config).places(t, model)[0] for t in model.matrices() if t.kind in kinds]
    return {place.stored.removesuffix(".weight"): place.shape for place in places}


def write_adapter(
    path: Path, config: dict[str, Any], rank: int = 3, kinds: tuple[str, ...] = KINDS, size: float = 1.0, **fields: Any
) -> tuple[Path, dict[str, tuple[Tensor, Tensor]]]:
    """A folder of PEFT, and its float32 A and B by the stored name of the matrix; size: of what B holds."""
    draw, tensors, held = torch.Generator().manual_seed(11), {}, {}
    for module, (rows, inputs) in adapted_modules(config, kinds).items():
        a = torch.randn(rank, inputs, generator=draw) * inputs**-0.5
        b = torch.randn(rows, rank, generator=draw) * rank**-0.5 * size
        held[f"{module}.weight"] = a, b
        tensors |= {f"base_model.model.{module}.lora_A.weight": a, f"base_model.model.{module}.lora_B.weight": b}
    path.mkdir(parents=True)
    save_file(tensors, path / LORA_TENSORS, {"format": "pt"})
    written = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "use_dora": False} | fields
    (path / LORA_CONFIG).write_text(json.dumps(written))
    return path, held
