"""A checkpoint in Hugging Face form: `config.json`, safetensors (sharded or single), `tokenizer.json`."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from hardloom.golden.checkpoints.config import read_config
from hardloom.golden.checkpoints.families import family_of
from hardloom.golden.checkpoints.stored import stored_tensors_of
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import ordered_map, row_ranges

__all__ = ["Checkpoint"]

PIECE = 1 << 21
"""Elements read at once."""


class Checkpoint:
    """A checkpoint folder, mapped lazily: `tensor` holds one tensor, making the object none.

    Making one checks config and headers, and raises `UserError` naming file, field or tensor, and remedy, for missing
    or extra tensors, wrong shapes or dtypes, truncated or missing shards, and an index that disagrees with its shards.

    Attributes
    ----------
    path: the folder
    config: fields of `config.json`
    model: what they describe
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config, self.model = read_config(self.path / "config.json")
        self._stored = stored_tensors_of(self.path, family_of(self.config), self.model)

    @property
    def tokenizer_path(self) -> Path | None:
        """The checkpoint's `tokenizer.json`, which may be unreadable, or None where nothing has that name."""
        path = self.path / "tokenizer.json"
        return path if os.path.lexists(path) else None

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
        parts = ((t.name, *rows) for t in self.model.tensors() for rows in row_ranges(t.shape, PIECE))
        yield from ordered_map(lambda part: self.tensor(*part).numel(), parts)

    def files(self) -> list[tuple[Path, os.stat_result]]:
        """The files that hold the tensors, with what the file system says of them."""
        paths = sorted({stored.reader.path for stored in self._stored.values()})
        return [(path, path.stat()) for path in paths]

    def dtypes(self) -> list[str]:
        """The dtypes that occur among the stored tensors, as safetensors spells them ("BF16")."""
        return sorted({stored.dtype for stored in self._stored.values()})
