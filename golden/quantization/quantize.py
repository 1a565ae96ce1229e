"""Quantizes a checkpoint in a stream of row slices: memory holds one matrix of the source, and a slice of work."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from golden.checkpoints.checkpoint import Checkpoint
from golden.checkpoints.config import CONFIG
from golden.checkpoints.json_files import read_regular_file
from golden.checkpoints.safetensors_stream import SafetensorsWriter
from golden.errors import UserError
from golden.files import write_file, write_json
from golden.folders import claim
from golden.parallel import ordered_map, row_ranges
from golden.quantization.by_kind import formats_by_kind
from golden.quantization.formats import format_rules, pack_codes
from golden.quantization.quantized import (
    QUANTIZATION,
    TENSORS,
    TOKENIZER,
    stored_tensors,
)
from golden.shape import TensorShape
from golden.units.numerics import Numerics

__all__ = ["Statistics", "quantize_checkpoint"]

SLICE = 1 << 19
"""Elements quantized at once: they and what is made of them stay in the cache."""

Piece = tuple[TensorShape, int, int]
"""A matrix and a range of its rows."""


class Statistics:
    """What quantization did to a matrix or to several: feed slices to `add`, read `report`."""

    def __init__(self) -> None:
        self.elements = self.saturated = self.zero = 0
        self.signal = self.noise = 0.0

    def add(self, w: Tensor, quantized: Tensor, saturated: Tensor) -> None:
        """A slice before and after, float32, and a bool tensor that marks what lies beyond the largest code."""
        self.signal += float(torch.linalg.vector_norm(w, dtype=torch.float64)) ** 2
        self.noise += float(torch.linalg.vector_norm(w - quantized, dtype=torch.float64)) ** 2
        self.elements += w.numel()
        self.saturated += int(torch.count_nonzero(saturated))
        self.zero += w.numel() - int(torch.count_nonzero(quantized))

    def merge(self, other: "Statistics") -> None:
        """Count the elements of `other` here too."""
        for field in ("elements", "saturated", "zero", "signal", "noise"):
            setattr(self, field, getattr(self, field) + getattr(other, field))

    def report(self) -> dict[str, Any]:
        """SNR in dB (None where nothing was lost), and the fractions saturated and zero after quantization."""
        lossless = self.noise == 0 or self.signal == 0
        return {
            "snr_db": None if lossless else round(10 * math.log10(self.signal / self.noise), 2),
            "saturated": round(self.saturated / self.elements, 6),
            "zero": round(self.zero / self.elements, 6),
        }


def quantize_checkpoint(
    ckpt: str | Path,
    out: str | Path,
    format: str,
    numerics: Numerics = Numerics(),
    formats: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[int, int], None] | None = None,
    statistics: dict[TensorShape, Statistics] | None = None,
    calibration: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Fold the norm gains of `ckpt` into its matrices (in float32), quantize these on all cores, and write `out`.

    The layout is that of `golden.quantization.quantized`. The same input gives the same bytes; an interrupted run
    leaves no file that looks whole. `formats`: of the kinds of matrix (`TensorShape.short_kind`) that shall have
    another than `format`. `progress` is called with the weights done and their total; `statistics`, where given,
    receives a `Statistics` a matrix. calibration: what `numerics` was measured by, which is recorded.

    Returns the contents of `quantization.json`. Raises `UserError` for a bad checkpoint, an unknown format or kind, a
    weight that is or becomes infinite or NaN, and an `out` that is not ours to write to (`golden.folders.claim`).
    """
    source, out = Checkpoint(ckpt), Path(out)
    chosen = formats_by_kind(source.model, format, formats)
    statistics = {} if statistics is None else statistics
    tokenizer = None if source.tokenizer_path is None else read_regular_file(source.tokenizer_path)
    claim(out, "quantized checkpoint")
    (out / QUANTIZATION).unlink(missing_ok=True)  # it says that all else is whole, and comes last
    matrices = list(source.model.matrices())
    total, done = sum(matrix.elements for matrix in matrices), 0
    tensors = stored_tensors(source.model, chosen, numerics.gains)
    with SafetensorsWriter(out / TENSORS, tensors) as writer:
        for vector in source.model.vectors(numerics.gains == "behind"):
            writer.write(vector.name, source.tensor(vector.name).float())
        statistics.update((matrix, Statistics()) for matrix in matrices)
        pieces = ((matrix, *rows) for matrix in matrices for rows in row_ranges(matrix.shape, SLICE))
        for matrix, codes, scales, found in ordered_map(partial(quantize_piece, source, chosen, numerics), pieces):
            writer.write(matrix.name + ".codes", codes)
            writer.write(matrix.name + ".scales", scales)
            statistics[matrix].merge(found)
            done += found.elements
            if progress:
                progress(done, total)
    found_of = {matrix.name: {"shape": list(matrix.shape), **statistics[matrix].report()} for matrix in matrices}
    report = {
        "formats": chosen,
        "numerics": numerics.to_json(),
        "calibration": calibration,
        "tool_version": version("hardloom"),
        "matrices": found_of,
    }
    write_json(out / CONFIG, source.config)
    if tokenizer is None:
        (out / TOKENIZER).unlink(missing_ok=True)
    else:
        write_file(out / TOKENIZER, tokenizer)
    write_json(out / QUANTIZATION, report)
    return report


def quantize_piece(
    source: Checkpoint, formats: Mapping[str, str], numerics: Numerics, piece: Piece
) -> tuple[TensorShape, Tensor, Tensor, Statistics]:
    """The matrix, packed codes, scales and statistics of some rows of a matrix."""
    matrix, start, stop = piece
    rules = format_rules(formats[matrix.short_kind])
    w = source.tensor(matrix.name, start, stop).float()
    if matrix.gain is not None and numerics.gains == "folded":
        w = folded(source, w, matrix.name, matrix.gain)
    codes, scales = rules.quantize(w)
    statistics = Statistics()
    saturated = w.abs() > rules.largest * rules.scale_values(scales, w.shape[1])
    statistics.add(w, rules.dequantize(codes, scales), saturated)
    return matrix, pack_codes(codes, rules.bits), scales, statistics


def folded(source: Checkpoint, w: Tensor, name: str, gain: str) -> Tensor:
    """Rows `w` of matrix `name` with the norm's gain multiplied into their columns."""
    w = w * source.tensor(gain).float()
    if not all(math.isfinite(extreme) for extreme in w.aminmax()):
        raise UserError(
            f"{source.path}: {name} times the gain {gain} exceeds float32; give a checkpoint of smaller ones"
        )
    return w
