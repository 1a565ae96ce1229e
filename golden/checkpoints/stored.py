"""Where the tensors of a checkpoint folder lie: which file, under which name, and which rows of it.

Files may be one or several with an index. A family's adapter says under which names they may lie there.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from hardloom.golden.checkpoints.families import Family, Place
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.checkpoints.made_up import MADE_UP, MadeUpTensors
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsReader, TensorEntry
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape, TensorShape

__all__ = [
    "INDEX",
    "WEIGHT_DTYPES",
    "StoredTensor",
    "check_tensor_set",
    "first_places",
    "has_weights",
    "stored_tensors_of",
]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHT_DTYPES = ("BF16", "F32", "F16")


class Reader(Protocol):
    """Tensors by name: of a file, or made as they are read."""

    path: Path
    entries: dict[str, TensorEntry]

    def check_layout(self) -> None: ...

    def tensor(self, name: str, start: int = 0, stop: int | None = None) -> Tensor: ...

    def rows(self, name: str, start: int, stop: int) -> Tensor: ...


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

    reader: Reader
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
    """Whether the folder `path` holds the tensors of a checkpoint, or says how they are made."""
    return any(os.path.lexists(path / name) for name in (INDEX, SINGLE, MADE_UP))


def first_places(family: Family, model: ModelShape) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the stored tensors as the family's authors publish them."""
    return {place.stored: place.shape for tensor in model.tensors() for place in family.places(tensor, model)[:1]}


def stored_tensors_of(path: Path, family: Family, model: ModelShape) -> dict[str, StoredTensor]:
    """Name in the model to where it lies, of every tensor in the folder `path`.

    Raises `UserError` for an index that disagrees with its files, tensors that are missing, there twice or belong to
    nothing, and for wrong shapes and dtypes.
    """
    files = open_files(path, family, model)
    places = {tensor: family.places(tensor, model) for tensor in model.tensors()}
    known = {place.stored for candidates in places.values() for place in candidates}
    ignored = family.ignored(model)
    counted = [name for name in files if name in known or not name.endswith(ignored)]
    wanted = {tensor: present(candidates, files) for tensor, candidates in places.items()}
    for reader in dict.fromkeys(files.values()):
        reader.check_layout()
    check_tensor_set(path, counted, {place.stored for place in wanted.values()} | (known & set(files)))
    return {tensor.name: stored_at(place, tensor, files[place.stored]) for tensor, place in wanted.items()}


def present(candidates: tuple[Place, ...], files: dict[str, Reader]) -> Place:
    """The place that exists, or the first where none does; `UserError` where two do, or rows can't be told apart."""
    found = [place for place in candidates if place.stored in files]
    if len(found) > 1:
        first, second = (place.stored for place in found[:2])
        raise UserError(
            f"{files[first].path}: {second} and {first} both hold {candidates[0].stored}; remove one of them"
        )
    for place in found:
        check_orientation(place, files[place.stored])
    return (found or candidates)[0]


def check_orientation(place: Place, reader: Reader) -> None:
    """Raise `UserError` for stacked experts whose shape does not tell rows from columns."""
    if place.stored.endswith("gate_up_proj") and place.shape[-1] == place.shape[-2]:
        raise UserError(
            f"{reader.path}: {place.stored} stacks the experts in square matrices, whose shape {list(place.shape)} "
            "does not tell rows from columns; store them as mlp.w1 [experts, gate rows then up rows, inputs] and "
            "mlp.w2, or as a tensor an expert (mlp.experts.0.gate_proj.weight)"
        )


def stored_at(place: Place, tensor: TensorShape, reader: Reader) -> StoredTensor:
    """A tensor at its place; `UserError` where that has another shape or a dtype that is not supported."""
    entry = reader.entries[place.stored]
    if entry.shape != place.shape:
        raise UserError(
            f"{reader.path}: tensor {place.stored} has shape {list(entry.shape)} where config.json makes it "
            f"{list(place.shape)}; correct config.json or give the checkpoint that belongs to it"
        )
    if entry.dtype not in WEIGHT_DTYPES:
        raise UserError(
            f"{reader.path}: tensor {place.stored} has dtype {entry.dtype}, and only {', '.join(WEIGHT_DTYPES)} are "
            "supported; convert the checkpoint to bfloat16"
        )
    return StoredTensor(reader, place.stored, tensor.shape, place.first)


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


def open_files(path: Path, family: Family, model: ModelShape) -> dict[str, Reader]:
    """Tensor name to the reader of the file that holds it."""
    index = path / INDEX
    if len(found := [name for name in (MADE_UP, SINGLE, INDEX) if os.path.lexists(path / name)]) > 1:
        raise UserError(f"{path}: holds {' and '.join(found)}, which may be two models; remove one of them")
    if os.path.lexists(path / MADE_UP):
        made = MadeUpTensors(path / MADE_UP, first_places(family, model))
        return dict.fromkeys(made.entries, made)
    if os.path.lexists(index):
        return open_indexed(path, index)
    if os.path.lexists(path / SINGLE):
        reader = SafetensorsReader(path / SINGLE)
        return dict.fromkeys(reader.entries, reader)
    raise UserError(f"{path}: holds neither {INDEX} nor {SINGLE}; give the folder of a checkpoint with its weights")


def open_indexed(path: Path, index: Path) -> dict[str, Reader]:
    """As `open_files`, by the index file `index`, with which the shards must agree."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(shard, str) and Path(shard).name == shard for shard in weight_map.values()
    ):
        raise UserError(f"{index}: weight_map is missing or does not map tensors to file names; download it again")
    holders: dict[str, Reader] = {}
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
