"""Matrices of a checkpoint rounded in pieces of rows: what a method of rounding makes, and the method `nearest`."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import ordered_map, row_ranges
from hardloom.golden.quantization.formats import Format, format_rules, pack_codes
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.numerics import Numerics

__all__ = ["NEAREST", "SLICE", "Method", "Piece", "Rounded", "Statistics", "nearest", "rounded", "source_rows"]

SLICE = 1 << 19
"""Elements rounded at once: they and what is made of them stay in the cache."""

Piece = tuple[TensorShape, int, int]
"""A matrix and a range of its rows."""

Rounded = tuple[TensorShape, Tensor, Tensor, "Statistics"]
"""A matrix, the packed codes and the scales of some of its rows, and what these lost."""


@dataclass(frozen=True)
class Method:
    """A way of rounding.

    Attributes
    ----------
    pieces: from a checkpoint, formats by kind of matrix and a contract to all matrices in pieces, the rows of each in
        order. record: what a quantized checkpoint says of it.
    """

    pieces: Callable[[Checkpoint, Mapping[str, str], Numerics], Iterable[Rounded]]
    record: Mapping[str, Any]


@dataclass
class Statistics:
    """What quantization did to a matrix or to several: feed slices to `add`, read `report`."""

    elements: int = 0
    saturated: int = 0
    zero: int = 0
    signal: float = 0.0
    noise: float = 0.0

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


def nearest(
    source: Checkpoint, formats: Mapping[str, str], numerics: Numerics, matrices: Iterable[TensorShape] | None = None
) -> Iterator[Rounded]:
    """Each weight rounded to the nearest code, on all cores: `matrices`, or all of the model."""

    def work(piece: Piece) -> Rounded:
        rules, w = format_rules(formats[piece[0].short_kind]), source_rows(source, numerics, piece)
        return rounded(piece[0], w, *rules.quantize(w), rules)

    wanted = source.model.matrices() if matrices is None else matrices
    yield from ordered_map(work, ((matrix, *rows) for matrix in wanted for rows in row_ranges(matrix.shape, SLICE)))


NEAREST = Method(nearest, {"method": "nearest"})


def source_rows(source: Checkpoint, numerics: Numerics, piece: Piece) -> Tensor:
    """Rows of a matrix as they are rounded, float32: with the gain before them where the contract folds it in."""
    matrix, start, stop = piece
    w = source.tensor(matrix.name, start, stop).float()
    return folded(source, w, matrix.name, matrix.gain) if matrix.gain and numerics.gains == "folded" else w


def rounded(matrix: TensorShape, w: Tensor, codes: Tensor, scales: Tensor, rules: Format) -> Rounded:
    """Rows of a matrix, `w` before and `codes` after, with what was lost."""
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
