"""Checkpoints of published shape with made-up weights, written in a stream: everything downstream at real size."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.checkpoints.families import family_of, shape_of
from hardloom.golden.checkpoints.made_up import MADE_UP, PIECE, random_rows
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsWriter
from hardloom.golden.checkpoints.stored import INDEX, first_places
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_json
from hardloom.golden.folders import claimed, delete
from hardloom.golden.parallel import ordered_map, row_ranges
from hardloom.golden.shape import ModelShape

__all__ = ["make_checkpoint", "make_up", "reduced"]

SHARD_BYTES = 4 << 30
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors", re.ASCII)
"""Name of a file that `write_tensors` writes."""


def make_checkpoint(
    like: str,
    out: Path,
    layers: int | None = None,
    experts: int | None = None,
    vocabulary: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    virtual: bool = False,
) -> ModelShape:
    """Write the folder `out`: names, shapes, dtype (bfloat16), shards and index of architecture `like`.

    `layers`, `experts` and `vocabulary` make a smaller one; the tensors that are left do not depend on them. Same
    arguments, same bytes. virtual: no shards, the same tensors are made as they are read. `progress` is called with the
    parameters done and their total. Raises `UserError` for an architecture that is unknown or whose tensors have no
    known names, sizes that do not go together, and an `out` that is not ours to write to or holds a whole checkpoint.
    """
    return make_up(reduced(read_preset(like), layers, experts, vocabulary), out, seed, progress, virtual=virtual)


def make_up(
    fields: dict[str, Any],
    out: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    virtual: bool = False,
) -> ModelShape:
    """As `make_checkpoint`, of the model that a `config.json` of these fields describes."""
    family, model = family_of(fields), shape_of(fields)
    places = first_places(family, model)
    with claimed(out, "made-up checkpoint"):
        if (out / CONFIG).exists():  # the last file to be written
            raise UserError(f"{out}: holds a whole checkpoint already; name a new folder with -o")
        if virtual:
            (out / INDEX).unlink(missing_ok=True)  # of a run that wrote tensors and was killed: shards alone are none
            for shard in filter(SHARD.fullmatch, [path.name for path in out.iterdir()]):
                delete(out, shard)
            write_json(out / MADE_UP, {"seed": seed})
        else:
            (out / MADE_UP).unlink(missing_ok=True)
            write_tensors(places, out, seed, progress)
        write_json(out / CONFIG, fields)
        return model


def write_tensors(
    shapes: Mapping[str, tuple[int, ...]], out: Path, seed: int, progress: Callable[[int, int], None]
) -> None:
    """Shards and their index."""
    shards = list(sharded(shapes))
    files = {f"model-{n:05}-of-{len(shards):05}.safetensors": names for n, names in enumerate(shards, 1)}
    total, done = sum(map(math.prod, shapes.values())), 0
    for file, names in files.items():
        with SafetensorsWriter(out / file, {n: (torch.bfloat16, shapes[n]) for n in names}, {"format": "pt"}) as writer:
            pieces = ((name, shapes[name], *rows) for name in names for rows in row_ranges(shapes[name], PIECE))
            for name, values in ordered_map(partial(random_rows, seed), pieces):
                writer.write(name, values)
                progress(done := done + values.numel(), total)
    index = {
        "metadata": {"total_size": 2 * total},
        "weight_map": {name: file for file, names in sorted(files.items()) for name in names},
    }
    write_json(out / INDEX, index)


def reduced(fields: dict[str, Any], layers: int | None, experts: int | None, vocabulary: int | None) -> dict[str, Any]:
    """The fields of a `config.json` of any family, made smaller: none is added, what goes together still does.

    Layers are dropped from the end, so that dense ones at the beginning stay.
    """
    smaller: dict[str, Any] = {}
    if layers is not None:
        dense = min(layers, fields.get("first_k_dense_replace", 0))
        smaller |= {"num_hidden_layers": layers, "moe_layer_freq": [1] * layers, "first_k_dense_replace": dense}
    if experts is not None:
        groups = math.gcd(experts, fields.get("n_group", 1))
        top_groups = min(groups, fields.get("topk_group", 1))
        top_k = min(experts // groups * top_groups, fields["num_experts_per_tok"])
        smaller |= {"num_experts": experts, "num_local_experts": experts, "num_experts_per_tok": top_k}
        smaller |= {"n_group": groups, "topk_group": top_groups}
    if vocabulary is not None:
        end = vocabulary - 2
        smaller |= {"vocab_size": vocabulary, "mask_token_id": vocabulary - 1, "eos_token_id": end, "pad_token_id": end}
    return {name: smaller.get(name, value) for name, value in fields.items()}


def sharded(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[list[str]]:
    """Names of tensors by shard, in order: a shard is full before it exceeds `SHARD_BYTES`."""
    names: list[str] = []
    held = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        if names and held + size > SHARD_BYTES:
            yield names
            names, held = [], 0
        names.append(name)
        held += size
    yield names
