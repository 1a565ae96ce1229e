"""Made-up weights, and checkpoints whose tensors are made as they are read.

Statistics follow what trained transformers show: a standard deviation of its own for every matrix (around
1 / sqrt(inputs)), for every row and for every input column, a few outlier columns several times as large, and norm
gains spread around one.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.checkpoints.safetensors_stream import NAMES, TensorEntry
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import row_ranges

__all__ = ["MADE_UP", "PIECE", "MadeUpTensors", "Piece", "random_rows"]

MADE_UP = "made_up.json"
"""A folder of this and `config.json` is a checkpoint that stands on no disk."""

PIECE = 1 << 19
"""Elements made at once; which ones go together decides their values."""

OUTLIERS = 1 / 512  # share of input columns that are larger
OUTLIER_SIZE = 6.0

Piece = tuple[str, tuple[int, ...], int, int]
"""A tensor, its shape and a range of its rows."""


class MadeUpTensors:
    """The tensors of a checkpoint that is made as it is read, with the interface of a `SafetensorsReader`.

    They are those that `hardloom make-checkpoint` writes with the same seed. Raises `UserError` where the file names
    no seed.

    Attributes
    ----------
    path: of the file `MADE_UP`; entries: name to `TensorEntry`.
    """

    def __init__(self, path: Path, shapes: Mapping[str, tuple[int, ...]]):
        fields = read_json_object(path)
        if fields.keys() != {"seed"} or type(fields["seed"]) is not int or fields["seed"] < 0:
            raise UserError(f"{path}: holds no seed alone, an integer from 0; run `hardloom make-checkpoint --virtual`")
        self.path, self.seed = path, fields["seed"]
        self.entries = {
            name: TensorEntry(NAMES[torch.bfloat16], shape, 0, 2 * math.prod(shape)) for name, shape in shapes.items()
        }

    def check_layout(self) -> None:
        """There is nothing that could be wrong."""

    def tensor(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The tensor `name`, bfloat16, or its rows from `start` to `stop`."""
        rows = range(self.entries[name].shape[0])[start:stop]
        return self.rows(name, rows.start, rows.stop)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows `start` to `stop` of the tensor `name`."""
        shape = self.entries[name].shape
        parts = [
            random_rows(self.seed, (name, shape, first, last))[1][max(start - first, 0) : stop - first]
            for first, last in row_ranges(shape, PIECE)
            if first < stop and start < last
        ]
        return torch.cat(parts) if parts else torch.empty((0, *shape[1:]), dtype=torch.bfloat16)


def random_rows(seed: int, piece: Piece) -> tuple[str, Tensor]:
    """Name and values, bfloat16, of rows start to stop of a tensor; they are a piece as `row_ranges` has them."""
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
