"""A LLaDA-MoE checkpoint in Hugging Face form: `config.json`, safetensors (sharded or single), `tokenizer.json`."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Size, Tensor

from golden.checkpoints.config import ModelConfig
from golden.checkpoints.stored import StoredTensor, stored_tensors_of
from golden.errors import UserError
from golden.parallel import ordered_map, row_ranges

__all__ = ["Checkpoint", "check_tensor_set", "expected_tensors", "folded_gain", "matrix_names"]

WEIGHT_DTYPES = ("BF16", "F32", "F16")
PIECE = 1 << 21
"""Elements read at once."""


def expected_tensors(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name to shape of every tensor of the model, in the order in which a token meets them."""
    hidden, expert = config.hidden_size, config.expert_intermediate_size
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, hidden)}
    for layer in range(config.num_hidden_layers):
        base = f"model.layers.{layer}."
        shapes[base + "input_layernorm.weight"] = (hidden,)
        for projection in "qkvo":
            shapes[f"{base}self_attn.{projection}_proj.weight"] = (hidden, hidden)
        for projection in "qk":
            shapes[f"{base}self_attn.{projection}_norm.weight"] = (config.head_dim,)
        shapes[base + "post_attention_layernorm.weight"] = (hidden,)
        shapes[base + "mlp.gate.weight"] = (config.num_experts, hidden)
        if config.has_expert_bias:
            shapes[base + "mlp.expert_bias"] = (config.num_experts,)
        for e in range(config.num_experts):
            shapes[f"{base}mlp.experts.{e}.gate_proj.weight"] = (expert, hidden)
            shapes[f"{base}mlp.experts.{e}.up_proj.weight"] = (expert, hidden)
            shapes[f"{base}mlp.experts.{e}.down_proj.weight"] = (hidden, expert)
    shapes["model.norm.weight"] = (hidden,)
    shapes["lm_head.weight"] = (config.vocab_size, hidden)
    return shapes


def matrix_names(config: ModelConfig) -> list[str]:
    """The matrices that are hardwired (every tensor of two dimensions), in the order of `expected_tensors`."""
    return [name for name, shape in expected_tensors(config).items() if len(shape) == 2]


def folded_gain(config: ModelConfig, name: str) -> str | None:
    """Name of the norm vector whose gain folds into the columns of matrix `name`, or None."""
    if name == "lm_head.weight":
        return "model.norm.weight"
    if not name.startswith("model.layers."):
        return None
    base = ".".join(name.split(".")[:3])
    projection = name.removesuffix(".weight").rpartition(".")[2]
    if projection in ("q_proj", "k_proj", "v_proj"):
        return f"{base}.input_layernorm.weight"
    if projection in ("gate", "gate_proj", "up_proj"):
        return f"{base}.post_attention_layernorm.weight"
    return None


class Checkpoint:
    """A checkpoint folder, mapped lazily: `tensor` holds one tensor, making the object none.

    Making one checks config and headers, and raises `UserError` naming file, field or tensor, and remedy, for missing
    or extra tensors, wrong shapes or dtypes, truncated or missing shards, and an index that disagrees with its shards.

    Attributes
    ----------
    path: the folder
    config: `ModelConfig`
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = ModelConfig.from_json(self.path / "config.json")
        self._stored = stored_tensors_of(self.path, self.config)
        expected = expected_tensors(self.config)
        check_tensor_set(self.path, self._stored, expected)
        for name, shape in expected.items():
            check_header(self._stored[name], shape)

    @property
    def tokenizer_path(self) -> Path | None:
        """The checkpoint's `tokenizer.json`, which may be unreadable, or None where nothing has that name."""
        path = self.path / "tokenizer.json"
        return path if os.path.lexists(path) else None

    def names(self) -> list[str]:
        """The names of all tensors, in the order of `expected_tensors`."""
        return list(expected_tensors(self.config))

    def tensor(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The tensor `name`, or its rows from `start` to `stop`, in its stored dtype, mapped from the file.

        The dtype is bfloat16, float16 or float32. Raises `UserError` naming file and tensor where an element is NaN or
        infinite.
        """
        stored = self._stored[name]
        tensor = stored.read(start, stop)
        if not all(math.isfinite(extreme) for extreme in tensor.aminmax()):  # NaN spreads to both
            raise UserError(
                f"{stored.reader.path}: tensor {stored.name} holds NaN or infinity; give a sound checkpoint"
            )
        return tensor

    def scan(self) -> Iterator[int]:
        """Read and check every tensor on all cores, yielding numbers of elements read; raises as `tensor` does."""
        parts = ((name, *rows) for name in self.names() for rows in row_ranges(self.shape(name), PIECE))
        yield from ordered_map(lambda part: self.tensor(*part).numel(), parts)

    def dtypes(self) -> list[str]:
        """The dtypes that occur among the stored tensors, as safetensors spells them ("BF16")."""
        return sorted({stored.dtype for stored in self._stored.values()})

    def shape(self, name: str) -> Size:
        """The shape of tensor `name`, without reading it."""
        return Size(self._stored[name].shape)

    def expert_bias(self, layer: int) -> Tensor | None:
        """The bias [num_experts] that layer `layer` adds to router probabilities, or None."""
        return self.tensor(f"model.layers.{layer}.mlp.expert_bias") if self.config.has_expert_bias else None


def check_tensor_set(path: Path, found: Iterable[str], expected: Iterable[str]) -> None:
    """Raise `UserError` for the first missing tensor, then for the first extra one."""
    found, expected = list(found), list(expected)
    if missing := sorted(set(expected) - set(found)):
        raise UserError(
            f"{path}: {len(missing)} tensors are missing, the first of them {missing[0]}; give a whole checkpoint"
        )
    if extra := sorted(set(found) - set(expected)):
        raise UserError(
            f"{path}: {len(extra)} tensors do not belong to the model of config.json, the first of them {extra[0]}; "
            "correct config.json or remove them"
        )


def check_header(stored: StoredTensor, shape: tuple[int, ...]) -> None:
    """Raise `UserError` where a stored tensor has another shape or a dtype that is not supported."""
    if stored.shape != shape:
        raise UserError(
            f"{stored.reader.path}: tensor {stored.name} has shape {list(stored.shape)} where config.json makes it "
            f"{list(shape)}; correct config.json or give the checkpoint that belongs to it"
        )
    if stored.dtype not in WEIGHT_DTYPES:
        raise UserError(
            f"{stored.reader.path}: tensor {stored.name} has dtype {stored.dtype}, and only "
            f"{', '.join(WEIGHT_DTYPES)} are supported; convert the checkpoint to bfloat16"
        )
