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

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Those of all rows of some matrices, one behind the other. A matrix is decoded only where not all are kept."""
        return np.concatenate([self._matrix(name) for name in names], axis=1).astype(np.int64)

    def _matrix(self, name: str) -> np.ndarray:
        parts = sorted(self._kept.pop(name, {}).items())
        at = 0
        for start, pairs in parts:
            at = at + pairs.shape[1] if start == at else -1
        if at != self.checkpoint.rows(name):
            whole = self.checkpoint.integers(name)
            return torch.stack([whole.mant, whole.exp]).numpy()
        return np.concatenate([pairs for _, pairs in parts], axis=1)
