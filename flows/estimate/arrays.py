"""Hardwired arrays as options: gates a weight and cycles a packet, by style and effort, through measured points."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from flows.estimate.assumptions import Assumption, read_data
from flows.estimate.shape import MatrixKind
from golden.errors import UserError

__all__ = ["STYLES", "ArrayOption", "array_assumptions", "options"]

PLANES = 8  # bits of an activation
FEWEST_A_SLICE = 32  # inputs
SLICES = (1, 2, 4, 8, 16, 32, 64)  # measured from the first to the last of them
INPUTS_PER_CYCLE = (1, 2, 4, 8)
STYLES = tuple(read_data("arrays"))
"""Styles with measured points."""


@dataclass(frozen=True)
class ArrayOption:
    """A style with its effort: slices, or of `rom` the inputs it takes a cycle.

    law: a, b, c of gates a weight, a + b x + c / inputs, before the style's scale.
    metal_only: two weight sets differ in metal layers only, so dies can share the other masks.
    """

    style: str
    effort: int
    law: tuple[float, float, float]
    metal_only: bool

    @property
    def effort_name(self) -> str:
        return "inputs_per_cycle" if self.style == "rom" else "slices"

    def gates(self, inputs: int) -> float:
        """Gates a weight in arrays of so many inputs."""
        a, b, c = self.law
        return a + b * x_of(self.style, self.effort) + c / inputs

    def fits(self, inputs: int) -> bool:
        """Whether there are as many inputs a slice as in the arrays that were measured."""
        return self.style == "rom" or inputs >= FEWEST_A_SLICE * self.effort

    def cycles(self, kind: MatrixKind, lanes: int, tile_rows: int) -> float:
        """Clock cycles from one packet to the next: loading, or computing and draining `tile_rows` rows."""
        compute = kind.inputs / self.effort if self.style == "rom" else PLANES * self.effort + 1
        return max(kind.inputs / lanes, compute + min(kind.rows, tile_rows) / lanes)


def x_of(style: str, effort: float) -> float:
    """What gates are linear in: an array does 1 / slices of its work a cycle, a rom that of its inputs a cycle."""
    return effort if style == "rom" else 1 / effort


@cache
def law(style: str) -> tuple[float, float, float]:
    """a, b, c of gates = a + b x + c / inputs: least squares of relative errors over a style's measured points."""
    points = read_data("arrays")[style]["points"]
    gates = np.array([point["gates"] for point in points])
    x = np.array([x_of(style, point["effort"]) for point in points])
    inputs = np.array([point["inputs"] for point in points])
    features = np.stack([np.ones(len(x)), x, 1 / inputs], axis=1) / gates[:, None]
    a, b, c = np.linalg.lstsq(features, np.ones(len(x)), rcond=None)[0]
    return float(a), float(b), float(c)


def options(styles: Iterable[str] = STYLES) -> Iterator[ArrayOption]:
    """All options of some styles; `UserError` for a style without measured points."""
    for style in styles:
        if style not in STYLES:
            raise UserError(
                f"--styles {style}: no array of this style has been measured; choose from {', '.join(STYLES)}"
            )
        metal_only = read_data("arrays")[style]["metal_only"]
        for effort in INPUTS_PER_CYCLE if style == "rom" else SLICES:
            yield ArrayOption(style, effort, law(style), metal_only)


def array_assumptions() -> dict[str, Assumption]:
    """`metal_gates_scale` and so on: what the measured gates are multiplied by, with their ranges."""
    return {
        f"{style}_gates_scale": Assumption(
            f"{style}_gates_scale",
            1.0,
            data["low"],
            data["high"],
            "gates a weight over those measured",
            "measured",
            f"{data['origin']}. Range: {data['range_source']}",
        )
        for style, data in read_data("arrays").items()
    }
