"""A quantized checkpoint: what `hardloom quantize` writes and everything after it reads.

The folder holds `config.json` (Hugging Face form), `quantization.json` (format of each kind of matrix, numeric
contract, tool version, statistics of each matrix), `tokenizer.json` where the source had one, and
`quantized.safetensors`:

- `NAME.codes`, uint8 [rows, ceil(cols * bits / 8)]: codes of 4, 6 or 8 bits, packed as `pack_codes` says;
- `NAME.scales`: see `golden.quantization.formats.QuantizedMatrix`;
- float32 vectors, where the model has them: weights of head norms, biases of experts and of projections.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.checkpoints.safetensors_stream import CHANGED, NAMES, SafetensorsReader
from hardloom.golden.checkpoints.stored import check_tensor_set
from hardloom.golden.errors import UserError
from hardloom.golden.files import stamp
from hardloom.golden.parallel import Threads, ordered_map, row_ranges
from hardloom.golden.quantization.by_kind import check_formats
from hardloom.golden.quantization.formats import QuantizedMatrix, format_rules, packed_bytes, unpack_codes
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.numerics import Numerics

__all__ = ["FILES", "QUANTIZATION", "TENSORS", "TOKENIZER", "QuantizedCheckpoint", "stored_tensors"]

QUANTIZATION = "quantization.json"
TENSORS = "quantized.safetensors"
TOKENIZER = "tokenizer.json"
FILES = (CONFIG, QUANTIZATION, TENSORS, TOKENIZER)
"""Of a quantized folder; the last one is there where the source had one."""
PIECE = 1 << 18
"""Elements made into integers at once."""
FEW_BITS = 12
"""Magnitudes below 2^12 go into int16, so that a few of them can be added there too."""


def stored_tensors(
    model: ModelShape, formats: Mapping[str, str], gains: str
) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """Name to (dtype, shape) of everything in `quantized.safetensors`; formats: by kind of matrix."""
    tensors: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for vector in model.vectors(gains == "behind"):
        tensors[vector.name] = torch.float32, vector.shape
    for matrix in model.matrices():
        (rows, cols), rules = matrix.shape, format_rules(formats[matrix.short_kind])
        tensors[matrix.name + ".codes"] = torch.uint8, (rows, packed_bytes(cols, rules.bits))
        tensors[matrix.name + ".scales"] = rules.scale_dtype, rules.scale_shape(rows, cols)
    return tensors


class QuantizedCheckpoint:
    """A quantized folder, mapped lazily: `matrix` holds one matrix, making the object none.

    Making one checks json files and the header, and raises `UserError` naming file, field or tensor, and remedy.

    Attributes
    ----------
    path: the folder
    config: fields of `config.json`
    model: what they describe, with its formats and what else is known of it
    numerics: the contract that its integers are made for
    formats: name of the format of each kind of matrix
    quantization: the contents of `quantization.json`
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.is_quantized(self.path):
            raise UserError(f"{self.path}: is no quantized folder; make one with `hardloom quantize`")
        self._stamps = self._stamps_now()
        self.quantization: dict[str, Any] = read_json_object(self.path / QUANTIZATION)
        self.config, self.model = read_config(self.path / CONFIG)
        try:
            self.formats = check_formats(self.model, self.quantization.get("formats"))
            self.numerics = Numerics.from_json(self.quantization.get("numerics"))
        except UserError as error:
            raise UserError(f"{self.path / QUANTIZATION}: {error}; quantize again") from None
        activations, behind = asdict(self.numerics.activations), self.numerics.gains == "behind"
        self.model = replace(self.model, formats=self.formats, activations=activations, gains_behind=behind)
        self._reader = SafetensorsReader(self.path / TENSORS)
        self._matrices = {matrix.name: matrix for matrix in self.model.matrices()}
        self._check_header()
        self._reader.check_layout()

    def _stamps_now(self) -> dict[str, tuple[int, ...]]:
        paths = [self.path / name for name in FILES]
        return {path.name: stamp(path.stat()) for path in paths if path.is_file()}

    def check_unchanged(self) -> None:
        """Raise `UserError` where one of the folder's files is another than when this was made."""
        now = self._stamps_now()
        if changed := sorted(name for name in now | self._stamps if now.get(name) != self._stamps.get(name)):
            raise UserError(f"{self.path / changed[0]}: {CHANGED}")

    @classmethod
    def is_quantized(cls, path: str | Path) -> bool:
        """Whether the folder `path` is one that `hardloom quantize` wrote."""
        return (Path(path) / QUANTIZATION).is_file()

    @property
    def is_calibrated(self) -> bool:
        """Whether the contract's words were measured to hold everything (`hardloom calibrate`)."""
        return self.quantization.get("calibration") is not None

    @property
    def tokenizer_path(self) -> Path | None:
        """The checkpoint's `tokenizer.json`, which may be unreadable, or None where nothing has that name."""
        path = self.path / TOKENIZER
        return path if os.path.lexists(path) else None

    def matrix(self, name: str, start: int = 0, stop: int | None = None) -> QuantizedMatrix:
        """The matrix that stands for tensor `name` of the checkpoint, its norm gain folded in; or some rows of it.

        Raises `UserError` naming file and tensor where a scale or code is invalid.
        """
        packed, scales = (self._reader.tensor(f"{name}.{what}", start, stop) for what in ("codes", "scales"))
        rules = format_rules(self.format_of(name))
        codes = unpack_codes(packed, self._matrices[name].shape[1], rules.bits)
        if problem := rules.problem(codes, scales):
            raise UserError(f"{self._reader.path}: matrix {name}: {problem}; quantize again")
        return QuantizedMatrix(rules.name, codes, scales, name)

    def format_of(self, name: str) -> str:
        """Name of the format of matrix `name`."""
        return self.formats[self._matrices[name].short_kind]

    def rows(self, name: str) -> int:
        """Rows of matrix `name`."""
        return self._matrices[name].shape[0]

    def integers(self, name: str, start: int = 0, stop: int | None = None) -> IntegerMatrix:
        """Matrix `name` as integers, or some rows of it, made of a few rows at a time; weights are int16 where they
        have few bits. It takes one thread: several that share so few rows wait for each other more than they work.

        Raises `UserError` as `matrix` does, and where a row's block exponents spread further than an array can hold.
        """
        rows, cols = self._matrices[name].shape
        wanted, spread = range(rows)[start:stop], 0
        weights = torch.empty(len(wanted), cols, dtype=torch.int16)
        mant, exp = torch.empty(len(wanted), dtype=torch.int32), torch.empty(len(wanted), dtype=torch.int32)
        pieces = [*row_ranges((len(wanted), cols), PIECE)]

        def integers_of(piece: tuple[int, int]) -> IntegerMatrix:
            return self.matrix(name, wanted.start + piece[0], wanted.start + piece[1]).integers()

        # nothing of a piece is kept: what is keeps the memory around it
        for (first, last), part in zip(pieces, Threads(1).map(integers_of, pieces), strict=True):
            if weights.dtype == torch.int16 and int(part.weights.abs().max()) >> FEW_BITS:
                weights = weights.int()
            here = slice(first, last)
            weights[here], mant[here], exp[here] = part.weights, part.mant, part.exp
            spread = max(spread, part.max_spread)
        return IntegerMatrix(weights, mant, exp, spread)

    def vector(self, name: str) -> Tensor:
        """The float32 vector `name`; `UserError` where an element is NaN or infinite."""
        vector = self._reader.tensor(name)
        if not bool(torch.isfinite(vector).all()):
            raise UserError(f"{self._reader.path}: tensor {name} holds NaN or infinity; quantize again")
        return vector

    def scan(self) -> Iterator[int]:
        """Read and check everything on all cores, yielding numbers of elements read; raises as reading does."""
        for vector in self.model.vectors(self.numerics.gains == "behind"):
            yield self.vector(vector.name).numel()
        parts = ((t.name, *rows) for t in self.model.matrices() for rows in row_ranges(t.shape, PIECE))
        yield from ordered_map(lambda part: self.matrix(*part).codes.numel(), parts)

    def _check_header(self) -> None:
        path, wanted = self._reader.path, stored_tensors(self.model, self.formats, self.numerics.gains)
        check_tensor_set(path, self._reader.entries, wanted)
        for name, (dtype, shape) in wanted.items():
            entry = self._reader.entries[name]
            if entry.shape != shape or entry.dtype != NAMES[dtype]:
                raise UserError(
                    f"{path}: tensor {name} is {entry.dtype} {list(entry.shape)} where {CONFIG} and "
                    f"{QUANTIZATION} make it {NAMES[dtype]} {list(shape)}; quantize again"
                )
