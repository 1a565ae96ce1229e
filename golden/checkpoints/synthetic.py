"""Checkpoints of published shape with made-up weights, written in a stream: everything downstream at real size.

Statistics follow what trained transformers show: a standard deviation of its own for every matrix (around
1 / sqrt(inputs)), for every row and for every input column, a few outlier columns several times as large, and norm
gains spread around one.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from golden.checkpoints.config import CONFIG
from golden.checkpoints.families import family_of, shape_of
from golden.checkpoints.presets import read_preset
from golden.checkpoints.safetensors_stream import SafetensorsWriter
from golden.checkpoints.stored import INDEX
from golden.errors import UserError
from golden.files import write_json
from golden.folders import claim
from golden.parallel import ordered_map, row_ranges
from golden.shape import ModelShape

__all__ = ["make_checkpoint", "make_up"]

SHARD_BYTES = 4 << 30
PIECE = 1 << 19  # elements made at once
OUTLIERS = 1 / 512  # share of input columns that are larger
OUTLIER_SIZE = 6.0

Piece = tuple[str, tuple[int, ...], int, int]
"""A tensor, its shape and a range of its rows."""


def make_checkpoint(
    like: str,
    out: Path,
    layers: int | None = None,
    experts: int | None = None,
    vocabulary: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ModelShape:
    """Write the folder `out`: names, shapes, dtype (bfloat16), shards and index of architecture `like`.

    `layers`, `experts` and `vocabulary` make a smaller one; the tensors that are left do not depend on them. Same
    arguments, same bytes. `progress` is called with the parameters done and their total. Raises `UserError` for an
    architecture that is unknown or not supported, sizes that do not go together, and an `out` that is not
    ours to write to or holds a whole checkpoint.
    """
    return make_up(reduced(read_preset(like), layers, experts, vocabulary), out, seed, progress)


def make_up(
    fields: dict[str, Any], out: Path, seed: int = 0, progress: Callable[[int, int], None] = lambda done, total: None
) -> ModelShape:
    """As `make_checkpoint`, of the model that a `config.json` of these fields describes."""
    family, model = family_of(fields), shape_of(fields)
    claim(out, "made-up checkpoint")
    if (out / CONFIG).exists():  # the last file to be written
        raise UserError(f"{out}: holds a whole checkpoint already; name a new folder with -o")
    shapes = {place.stored: place.shape for tensor in model.tensors() for place in family.places(tensor, model)[:1]}
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
    write_json(out / CONFIG, fields)
    return model


def reduced(fields: dict[str, Any], layers: int | None, experts: int | None, vocabulary: int | None) -> dict[str, Any]:
    """The fields of a `config.json`, made smaller."""
    if layers is not None:
        fields |= {"num_hidden_layers": layers, "moe_layer_freq": [1] * layers}
    if experts is not None:
        fields |= {"num_experts": experts, "num_experts_per_tok": min(experts, fields.get("num_experts_per_tok", 1))}
    if vocabulary is not None:
        fields |= {"vocab_size": vocabulary, "mask_token_id": vocabulary - 1, "eos_token_id": vocabulary - 2}
    return fields


def sharded(shapes: dict[str, tuple[int, ...]]) -> Iterator[list[str]]:
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


def random_rows(seed: int, piece: Piece) -> tuple[str, Tensor]:
    """Name and values, bfloat16, of rows start to stop of a tensor."""
    name, shape, start, stop = piece
    whole = np.random.Generator(np.random.SFC64([seed, crc32(name.encode())]))
    rows = np.random.Generator(np.random.SFC64([seed, crc32(name.encode()), 1 + start]))
    if len(shape) == 1:
        values = rows.lognormal(0, 0.2, stop - start) if "norm" in name else rows.normal(0, 0.01, stop - start)
        return name, torch.from_numpy(values).bfloat16()
    inputs = shape[1]
    columns = whole.lognormal(0, 0.1, inputs) * whole.lognormal(0, 0.2) / math.sqrt(inputs)
    columns[whole.random(inputs) < OUTLIERS] *= OUTLIER_SIZE
    weights = rows.standard_normal((stop - start, inputs), dtype=np.float32)
    weights *= columns.astype(np.float32)
    weights *= rows.lognormal(0, 0.1, (stop - start, 1)).astype(np.float32)
    return name, torch.from_numpy(weights).bfloat16()
