"""A trained model as a checkpoint folder in Hugging Face form."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer

from golden.files import write_file, write_json
from golden.folders import claim
from golden.models.float_model import FloatModel

__all__ = ["export_checkpoint"]


def export_checkpoint(
    model: FloatModel, config: dict[str, Any], tokenizer: Tokenizer, folder: Path, shards: int = 2
) -> None:
    """Write `config.json`, `tokenizer.json`, bfloat16 safetensors shards and, last, their index into `folder`.

    Tensors keep their order, cut into `shards` runs of about equal size. Same model, same bytes.
    """
    claim(folder, "trained checkpoint")
    tensors = {name: tensor.bfloat16().contiguous() for name, tensor in model.state_dict().items()}
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
