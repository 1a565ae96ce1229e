"""What is kept free beside cells: by their pins, and more where more wire is to cross than elsewhere.

Wire is spread evenly over the box around each net's cells (RUDY: Spindler and Johannes, Fast and accurate routing
demand estimation, 2007). Cells where much of it comes together take more room, and are placed again (cell inflation).
"""

from collections.abc import Sequence

import numpy as np

from hardloom.flows.layout.technology import ROW, SITE

__all__ = ["WIDEST", "beside", "demand", "hotter"]

PINS = 1.3
"""Power of a cell's pins that what is kept free beside it grows with."""
WIDEST = 28
"""Sites of a cell with what is kept free: half of a segment, or some find no row."""
BIN = 12, 2
"""Sites and rows over which demand is one figure."""
STEP = 0.5, 2.5
"""Least and most factor by which a cell's share of the room changes at once."""


def beside(own: np.ndarray, pins: np.ndarray, heat: np.ndarray, room: float, widest: int = WIDEST) -> np.ndarray:
    """Sites kept free beside every cell, int64[cells], `room` in all or less. own: sites of cells; heat: of each, a
    factor of its share; widest: a cell with what is kept free."""
    share = pins**PINS * heat
    free = np.minimum(share * room / share.sum(), np.maximum(widest - own, 0))
    return np.diff(np.floor(np.cumsum(free)).astype(int), prepend=0)


def demand(nets: Sequence[Sequence[int]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """um of wire in every bin, float64[nx, ny]. nets: cells of each, by number; x, y: of cells, in sites and rows."""
    wide, high = BIN
    found = np.zeros((int(x.max() / wide) + 1, int(y.max() / high) + 1))
    for cells in nets:
        left, right, bottom, top = x[cells].min(), x[cells].max(), y[cells].min(), y[cells].max()
        part = found[int(left / wide) : int(right / wide) + 1, int(bottom / high) : int(top / high) + 1]
        part += ((right - left) * SITE + (top - bottom) * ROW) / 1000 / part.size
    return found


def hotter(heat: np.ndarray, nets: Sequence[Sequence[int]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Each cell's share of the room by the wire that is to cross where it is, against that of the others."""
    wire = demand(nets, x, y)[(x / BIN[0]).astype(int), (y / BIN[1]).astype(int)]
    new = heat * np.clip(wire / max(wire.mean(), 1e-9), *STEP)
    return new / new.mean()
