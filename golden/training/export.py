"""A trained model as a checkpoint folder in Hugging Face form."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer

from hardloom.golden.checkpoints.families import Family, family_of
from hardloom.golden.files import write_file, write_json
from hardloom.golden.folders import claim
from hardloom.golden.models.float_model import FloatModel

__all__ = ["export_checkpoint"]


def export_checkpoint(
    model: FloatModel, config: dict[str, Any], tokenizer: Tokenizer, folder: Path, shards: int = 2
) -> None:
    """Write `config.json`, `tokenizer.json`, bfloat16 safetensors shards and, last, their index into `folder`.

    Tensors have the names of the model's family and keep their order, cut into `shards` runs of about equal size. Same
    model, same bytes.
    """
    claim(folder, "trained checkpoint")
    tensors = stored_tensors(model, family_of(config))
    total = sum(tensor.nbytes for tensor in tensors.values())
    parts: list[dict[str, torch.Tensor]] = [{} for _ in range(shards)]
    done = 0
    for name, tensor in tensors.items():
        parts[done * shards // total][name] = tensor
        done += tensor.nbytes
    weight_map: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05d}-of-{shards:05d}.safetensors"
        write_file(folder / file, save(part, {"format": "pt"}))
        weight_map |= dict.fromkeys(part, file)
    write_json(folder / "config.json", config)
    write_file(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(folder / "model.safetensors.index.json", index)


def stored_tensors(model: FloatModel, family: Family) -> dict[str, torch.Tensor]:
    """Tensors in bfloat16 as the family's files hold them: those that lie in one, each as rows of it, put together."""
    tensors = {tensor.name: tensor for tensor in model.shape.tensors()}
    parts: dict[str, list[torch.Tensor]] = {}
    for name, values in model.state_dict().items():
        place = family.places(tensors[name], model.shape)[0]
        assert place.first in (None, sum(map(len, parts.get(place.stored, []))))
        parts.setdefault(place.stored, []).append(values.bfloat16())
    return {stored: torch.cat(rows) if len(rows) > 1 else rows[0].contiguous() for stored, rows in parts.items()}
