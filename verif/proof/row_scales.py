"""Row scales that a build should hold, kept as the weights they belong to are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["RowScales", "ScalesMet"]


@dataclass(frozen=True)
class ScalesMet:
    """Row scales of consecutive rows, from `start` on, of matrix `name`: mantissas and exponents, int32 [rows]."""

    name: str
    start: int
    mant: np.ndarray
    exp: np.ndarray

    @classmethod
    def of(cls, name: str, start: int, part: IntegerMatrix) -> "ScalesMet":
        """Those of a part of the matrix, which may go then."""
        return cls(name, start, part.mant.numpy().astype(np.int32), part.exp.numpy().astype(np.int32))


class RowScales:
    """Mantissas and exponents of the rows of matrices: int64 [2, rows].

    All of a model's are in one array, made at once: kept one by one, between large arrays that come and go, they would
    hold the memory of these.
    """

    def __init__(self, checkpoint: QuantizedCheckpoint) -> None:
        self.checkpoint = checkpoint
        rows = {matrix.name: matrix.shape[0] for matrix in checkpoint.model.matrices()}
        ends = np.cumsum([*rows.values()]).tolist()
        self._first = {name: end - count for (name, count), end in zip(rows.items(), ends, strict=True)}
        self._pairs = np.zeros((2, ends[-1]), dtype=np.int32)
        self._kept = np.zeros(ends[-1], dtype=bool)

    def keep(self, met: ScalesMet) -> None:
        """Keep what was met; of one matrix from one thread at a time."""
        first = self._first[met.name] + met.start
        rows = slice(first, first + len(met.mant))
        self._pairs[0, rows], self._pairs[1, rows] = met.mant, met.exp
        self._kept[rows] = True

    def of(self, names: Sequence[str], first: int = 0, stop: int | None = None) -> np.ndarray:
        """Those of rows `first` to `stop` of some matrices, all by default, one matrix behind the other.

        Rows are decoded only where not all of them are kept.
        """
        spans = [(name, first, self.checkpoint.rows(name) if stop is None else stop) for name in names]
        return np.concatenate([self._rows(*span) for span in spans], axis=1).astype(np.int64)

    def _rows(self, name: str, first: int, stop: int) -> np.ndarray:
        rows = slice(self._first[name] + first, self._first[name] + stop)
        if not self._kept[rows].all():
            self.keep(ScalesMet.of(name, first, self.checkpoint.integers(name, first, stop)))
        return self._pairs[:, rows]
