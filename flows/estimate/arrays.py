"""Hardwired arrays as options: gates a weight and cycles a packet, by style and effort, through measured points."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from flows.estimate.assumptions import Assumption, read_data
from flows.estimate.shape import MatrixKind

__all__ = ["ArrayOption", "array_assumptions", "options"]

PLANES = 8  # bits of an activation
SLICES = (1, 2, 4, 8, 16, 32, 64)  # measured from the first to the last of them
ROM_LANES = (1, 2)


@dataclass(frozen=True)
class ArrayOption:
    """A style with its effort: `slices` of `metal`, `lanes` of `rom`; gates a weight before `array_gates_scale`."""

    style: str
    effort: int
    gates: float

    def cycles(self, kind: MatrixKind, lanes: int, tile_rows: int) -> float:
        """Clock cycles from one packet to the next: loading, or computing and draining `tile_rows` rows."""
        compute = kind.inputs / self.effort if self.style == "rom" else PLANES * self.effort + 1
        return max(kind.inputs / lanes, compute + min(kind.rows, tile_rows) / lanes)


@cache
def line(style: str) -> tuple[float, float]:
    """a, b of gates = a + b / slices (`metal`) or a + b * lanes (`rom`): least squares through the measured points."""
    points = read_data("arrays")[style]["points"]
    x = [1 / point["slices"] if style == "metal" else point["lanes"] for point in points]
    a, b = np.linalg.lstsq(np.stack([np.ones(len(x)), x], axis=1), [point["gates"] for point in points], rcond=None)[0]
    return float(a), float(b)


def options() -> Iterator[ArrayOption]:
    """All options, slowest and smallest first within a style."""
    a, b = line("metal")
    yield from (ArrayOption("metal", slices, a + b / slices) for slices in reversed(SLICES))
    a, b = line("rom")
    yield from (ArrayOption("rom", lanes, a + b * lanes) for lanes in ROM_LANES)


def array_assumptions() -> dict[str, Assumption]:
    """`metal_gates_scale`, `rom_gates_scale`: what the measured gates are multiplied by, with their ranges."""
    return {
        f"{style}_gates_scale": Assumption(
            f"{style}_gates_scale",
            1.0,
            data["low"],
            data["high"],
            "gates a weight over those measured",
            "measured",
            f"{data['origin']}. {data['range_source']}",
        )
        for style, data in read_data("arrays").items()
    }
