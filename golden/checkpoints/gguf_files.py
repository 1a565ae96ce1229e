"""A GGUF file of a Llama-shaped model as a checkpoint folder in Hugging Face form.

The file is read by the package `gguf` (extra `llm`), whose dequantization decides the values: float32, exactly what
llama.cpp computes with.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.gguf_keys import FIELDS, check_keys, whole_numbers
from hardloom.golden.checkpoints.gguf_tokenizer import tokenizer_of
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsWriter
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file, write_json
from hardloom.golden.folders import claimed
from hardloom.golden.shape import ModelShape, TensorShape

__all__ = ["import_gguf"]

REAL = ("rms_norm_eps", "rope_theta")
"""Fields that are no whole numbers."""

BLOCK = {
    "input_layernorm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "dense.gate_proj": "ffn_gate",
    "dense.up_proj": "ffn_up",
    "dense.down_proj": "ffn_down",
}
BESIDE = {"embedding": "token_embd.weight", "norm": "output_norm.weight", "head": "output.weight"}
"""Names in the file by kind of tensor, in a block and beside the blocks."""


def import_gguf(file: Path, out: Path) -> ModelShape:
    """Write the model in `file` to the folder `out`: `config.json`, `model.safetensors` (float32), `tokenizer.json`.

    Raises `UserError` where the package `gguf` is missing, for a file that is no GGUF, another architecture than llama,
    a key or tensor that would make another model of it, and an `out` that is not ours to write to.
    """
    reader = opened(file)
    values = contents(file, reader)
    if values.get("general.architecture") != "llama":
        raise UserError(f"{file}: holds a {values.get('general.architecture')!r:.40}, and only llama is read from GGUF")
    stored = {tensor.name: tensor for tensor in reader.tensors}
    config = config_of(file, values, tied=BESIDE["head"] not in stored)
    model = shape_of(config)
    check_keys(file, values, model)
    tokenizer = tokenizer_of(file, values)
    with claimed(out, "imported checkpoint"):
        tensors = [tensor for tensor in model.tensors() if not (model.tied and tensor.kind == "head")]
        if missing := [name_of(tensor) for tensor in tensors if name_of(tensor) not in stored]:
            raise UserError(f"{file}: {len(missing)} tensors are missing, the first of them {missing[0]}")
        if strange := sorted(stored.keys() - {name_of(tensor) for tensor in tensors}):
            raise UserError(f"{file}: the tensor {strange[0]} is of another model than those that are read from GGUF")
        kinds = {tensor.name: (torch.float32, tensor.shape) for tensor in tensors}
        with SafetensorsWriter(out / "model.safetensors", kinds, {"format": "pt"}) as writer:
            for tensor, value in dequantized(file, tensors, stored, model):
                writer.write(tensor.name, value)
        write_file(out / "tokenizer.json", tokenizer.to_str())
        write_json(out / CONFIG, config)
        return model


def opened(file: Path) -> Any:
    try:
        from gguf import GGUFReader
    except ImportError:
        raise UserError("reading GGUF needs the package gguf; run: pip install 'hardloom[llm]'") from None
    try:
        return GGUFReader(file)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{file}: cannot be read as GGUF ({str(error).splitlines()[0]})") from None


def contents(file: Path, reader: Any) -> dict[str, Any]:
    """Values of the file's keys. Raises `UserError` where one cannot be read."""
    values = {}
    for name, field in reader.fields.items():
        try:
            values[name] = field.contents()
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise UserError(f"{file}: the value of {name!r:.60} cannot be read ({type(error).__name__})") from None
    return values


def config_of(file: Path, values: dict[str, Any], tied: bool) -> dict[str, Any]:
    """The fields of a `config.json` of the same model."""
    if missing := [key for key in FIELDS.values() if key not in values]:
        raise UserError(f"{file}: {missing[0]} is missing; give a whole GGUF of a language model")
    fields = {name: values[key] for name, key in FIELDS.items()}
    whole_numbers(file, {FIELDS[name]: value for name, value in fields.items() if name not in REAL})
    return {"model_type": "llama", **fields, "hidden_act": "silu", "tie_word_embeddings": tied}


def name_of(tensor: TensorShape) -> str:
    """Its name in the file."""
    return BESIDE[tensor.kind] if tensor.layer is None else f"blk.{tensor.layer}.{BLOCK[tensor.kind]}.weight"


def dequantized(
    file: Path, tensors: list[TensorShape], stored: dict[str, Any], model: ModelShape
) -> Iterator[tuple[TensorShape, torch.Tensor]]:
    """Each tensor's values; rows of q and k are brought from llama.cpp's order of rotary pairs to rotate-half."""
    from gguf.quants import dequantize

    attention = model.layers[0].attention
    heads = {"q_proj": attention.num_heads, "k_proj": attention.num_key_value_heads}
    for tensor in tensors:
        found = stored[name_of(tensor)]
        values = torch.from_numpy(np.array(dequantize(found.data, found.tensor_type), dtype=np.float32))
        if tuple(values.shape) != tensor.shape:
            raise UserError(
                f"{file}: tensor {found.name} has shape {list(values.shape)} instead of {list(tensor.shape)}"
            )
        if tensor.kind in heads:
            values = (
                values.view(heads[tensor.kind], attention.head_dim // 2, 2, -1).transpose(1, 2).reshape(tensor.shape)
            )
        yield tensor, values
