"""Rings: which rows share a cell, one after the other, where neurons take turns at one adder."""

from math import gcd

import numpy as np

__all__ = ["fold_of", "rings"]


MOST_FEEDS = 1_000_000  # inputs, each once a turn: their numbers have six digits at most


def fold_of(rows: int, inputs: int, lanes: int, slices: int) -> int:
    """Neurons of a ring: as many as take turns within `slices` steps and leave no place of a ring empty."""
    most = gcd(slices, -(-rows // lanes))
    return max(d for d in range(1, most + 1) if most % d == 0 and d * inputs <= max(inputs, MOST_FEEDS))


def rings(rows: int, lanes: int, fold: int) -> np.ndarray:
    """Rows of every cell in the order of their turns: int32 [cells, fold], -1 behind the last row.

    Cell u is rank u // lanes of lane u % lanes; it holds rows lane + lanes * (fold * rank + turn), so that draining a
    lane's rings one behind the other gives its rows in order. Cells without any row are left out.
    """
    ranks = -(-rows // (lanes * fold))
    numbers = np.arange(ranks * fold * lanes, dtype=np.int32).reshape(ranks, fold, lanes)
    cells = np.where(numbers < rows, numbers, -1).transpose(0, 2, 1).reshape(-1, fold)
    return np.ascontiguousarray(cells[cells[:, 0] >= 0])
