"""Where the tensors of a checkpoint folder lie: which file, under which name, and which rows of it.

Files may be one or several with an index. Other spellings of the same model come to its one set of names here: the
expert bias under either of its names, and experts stacked in one tensor a layer.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from golden.checkpoints.config import ModelConfig
from golden.checkpoints.json_files import read_json_object
from golden.checkpoints.safetensors_stream import SafetensorsReader
from golden.errors import UserError

__all__ = ["INDEX", "StoredTensor", "has_weights", "stored_tensors_of"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
BIAS = ".mlp.expert_bias"
INV_FREQ = ".rotary_emb.inv_freq"
"""A buffer of older transformers, which follows from rope_theta."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the model in a file.

    Attributes
    ----------
    reader: of the file
    name: in the file
    shape: as the model has it
    first: row of the stored tensor (all of its dimensions but the last counted as rows) where this one begins; None
        where it is the stored tensor itself
    """

    reader: SafetensorsReader
    name: str
    shape: tuple[int, ...]
    first: int | None = None

    @property
    def dtype(self) -> str:
        """As safetensors spells it ("BF16")."""
        return self.reader.entries[self.name].dtype

    def read(self, start: int = 0, stop: int | None = None) -> Tensor:
        """The tensor, or its rows from `start` to `stop`, in its stored dtype, mapped from the file."""
        if self.first is None:
            return self.reader.tensor(self.name, start, stop)
        rows = range(self.first, self.first + self.shape[0])[start:stop]
        return self.reader.rows(self.name, rows.start, rows.stop)


def has_weights(path: Path) -> bool:
    """Whether the folder `path` holds safetensors of a Hugging Face checkpoint."""
    return os.path.lexists(path / INDEX) or os.path.lexists(path / SINGLE)


def stored_tensors_of(path: Path, config: ModelConfig) -> dict[str, StoredTensor]:
    """Name in the model to where it lies, of every tensor in the folder `path` that counts.

    Raises `UserError` for an index that disagrees with its files, a tensor that is there twice, and stacked experts
    that can't be told apart.
    """
    tensors: dict[str, StoredTensor] = {}
    files = open_files(path)
    for stored, reader in files.items():
        for name, tensor in model_tensors(reader, stored, config):
            if name in tensors:
                raise UserError(
                    f"{reader.path}: {stored} and {tensors[name].name} both hold {name}; remove one of them"
                )
            tensors[name] = tensor
    for reader in dict.fromkeys(files.values()):
        reader.check_layout()
    return tensors


def model_tensors(reader: SafetensorsReader, stored: str, config: ModelConfig) -> Iterator[tuple[str, StoredTensor]]:
    """What the tensor `stored` of a file is in the model: itself, the experts of a layer, or nothing that counts."""
    base, _, last = stored.rpartition(".mlp.")
    if last in ("w1", "experts.gate_up_proj"):
        yield from stacked(reader, stored, base, ("gate", "up"), config)
    elif last in ("w2", "experts.down_proj"):
        yield from stacked(reader, stored, base, ("down",), config)
    elif last in ("expert_bias", "gate.expert_bias"):
        if config.has_expert_bias:  # otherwise the published code leaves it alone
            yield base + BIAS, StoredTensor(reader, stored, reader.entries[stored].shape)
    elif not stored.endswith(INV_FREQ):
        yield stored, StoredTensor(reader, stored, reader.entries[stored].shape)


def stacked(
    reader: SafetensorsReader, stored: str, base: str, projections: tuple[str, ...], config: ModelConfig
) -> Iterator[tuple[str, StoredTensor]]:
    """The experts' matrices in one stacked tensor [experts, rows of all `projections`, inputs].

    `mlp.w1` and `mlp.w2` are those of the published class FusedLLaDAMoEModelLM, gate rows before up rows;
    `experts.gate_up_proj` and `experts.down_proj` those of transformers 5.
    """
    rows, inputs = config.expert_intermediate_size, config.hidden_size
    if projections == ("down",):
        rows, inputs = inputs, rows
    shape, height = reader.entries[stored].shape, len(projections) * rows
    if shape != (config.num_experts, height, inputs):
        raise UserError(
            f"{reader.path}: tensor {stored} of stacked experts has shape {list(shape)} where config.json makes it "
            f"{[config.num_experts, height, inputs]}; store a tensor an expert (mlp.experts.0.gate_proj.weight)"
        )
    if stored.endswith("gate_up_proj") and height == inputs:
        raise UserError(
            f"{reader.path}: {stored} stacks the experts in square matrices, whose shape {list(shape)} does not tell "
            "rows from columns; store them as mlp.w1 [experts, gate rows then up rows, inputs] and mlp.w2, or as a "
            "tensor an expert (mlp.experts.0.gate_proj.weight)"
        )
    for expert in range(config.num_experts):
        for number, projection in enumerate(projections):
            first = expert * height + number * rows
            name = f"{base}.mlp.experts.{expert}.{projection}_proj.weight"
            yield name, StoredTensor(reader, stored, (rows, inputs), first)


def open_files(path: Path) -> dict[str, SafetensorsReader]:
    """Tensor name to the reader of the file that holds it."""
    index = path / INDEX
    if os.path.lexists(index):
        return open_indexed(path, index)
    if os.path.lexists(path / SINGLE):
        reader = SafetensorsReader(path / SINGLE)
        return dict.fromkeys(reader.entries, reader)
    raise UserError(f"{path}: holds neither {INDEX} nor {SINGLE}; give the folder of a checkpoint with its weights")


def open_indexed(path: Path, index: Path) -> dict[str, SafetensorsReader]:
    """As `open_files`, by the index file `index`, with which the shards must agree."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(shard, str) and Path(shard).name == shard for shard in weight_map.values()
    ):
        raise UserError(f"{index}: weight_map is missing or does not map tensors to file names; download it again")
    holders: dict[str, SafetensorsReader] = {}
    for shard in sorted(set(weight_map.values())):
        if not os.path.exists(path / shard):  # False for what can be no file name, where Path.exists raises
            raise UserError(f"{index}: names the shard {shard}, which does not exist; download the shard")
        reader = SafetensorsReader(path / shard)
        for name in reader.entries:
            if name in holders:
                raise UserError(
                    f"{reader.path}: tensor {name} is in {holders[name].path.name} too; remove it from one of them"
                )
            holders[name] = reader
    for name in sorted(set(weight_map) | set(holders)):
        said, found = weight_map.get(name), holders[name].path.name if name in holders else None
        if said != found:
            raise UserError(
                f"{index}: places tensor {name} in {said or 'no shard'}, but it is in {found or 'no shard'}; "
                "download index and shards again"
            )
    return holders
