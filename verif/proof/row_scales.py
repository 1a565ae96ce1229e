"""Row scales that a build should hold, kept as the weights they belong to are compared."""

from collections.abc import Sequence

import numpy as np
import torch

from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["RowScales"]


class RowScales:
    """Mantissas and exponents of the rows of matrices: int64 [2, rows]."""

    def __init__(self, checkpoint: QuantizedCheckpoint) -> None:
        self.checkpoint = checkpoint
        self._kept: dict[str, dict[int, np.ndarray]] = {}

    def keep(self, name: str, start: int, part: IntegerMatrix) -> None:
        """Those of rows from `start` on of matrix `name`; of one matrix from one thread at a time."""
        self._kept.setdefault(name, {})[start] = torch.stack([part.mant, part.exp]).numpy()

    def of(self, names: Sequence[str], first: int = 0, stop: int | None = None) -> np.ndarray:
        """Those of rows `first` to `stop` of some matrices, all by default, one matrix behind the other.

        Rows are decoded only where not all of them are kept.
        """
        spans = [(name, first, self.checkpoint.rows(name) if stop is None else stop) for name in names]
        return np.concatenate([self._rows(*span) for span in spans], axis=1).astype(np.int64)

    def _rows(self, name: str, first: int, stop: int) -> np.ndarray:
        kept = self._kept.get(name, {})
        parts = [(start, kept.pop(start)) for start in sorted(kept) if first <= start < stop]
        at = first
        for start, pairs in parts:
            at = at + pairs.shape[1] if start == at else -1
        if at != stop:
            decoded = self.checkpoint.integers(name, first, stop)
            return torch.stack([decoded.mant, decoded.exp]).numpy()
        return np.concatenate([pairs for _, pairs in parts], axis=1)
