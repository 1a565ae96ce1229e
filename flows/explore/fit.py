"""The cost model: gates of an array from its geometry, fitted to synthesized tiles, checked on others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gen.arrays.capacity import classes
from gen.arrays.metal import MetalGeometry, of_regions
from golden.errors import UserError

__all__ = ["DEFAULT_FIT", "CostModel", "cell_geometry", "fit_tiles"]

DEFAULT_FIT = Path(__file__).parent / "data" / "fit.json"
NEURON = ("merging_slots", "lines", "accumulator_bits", "constant")
SHELL = ("inputs", "slices", "lanes", "constant")


@cache
def cell_geometry(inputs: int, slices: int, format: str) -> MetalGeometry:
    """The prefabricated neuron cell of capacity class 0."""
    return of_regions(inputs, slices, 1, format, next(classes(inputs, slices, format, 0)))


def neuron_features(inputs: int, slices: int, format: str) -> list[float]:
    """What a neuron cell's gates are linear in, in the order of `NEURON`: OR gates of merged slots, counted lines."""
    cell = cell_geometry(inputs, slices, format)
    lines = sum(cell.regions.lines)
    return [float(cell.slots - lines), float(lines), float(cell.acc_width), 1.0]


def shell_features(inputs: int, slices: int, lanes: int) -> list[float]:
    """The same of a shell, in the order of `SHELL`."""
    return [float(inputs), float(slices), float(lanes), 1.0]


@dataclass(frozen=True)
class CostModel:
    """Coefficients in gates (NAND2 = 1); `neuron` in the order of `NEURON`, `shell` in that of `SHELL`."""

    neuron: tuple[float, ...]
    shell: tuple[float, ...]
    library: str

    def neuron_ge(self, inputs: int, slices: int, format: str) -> float:
        """Gates of one neuron cell."""
        return float(np.dot(self.neuron, neuron_features(inputs, slices, format)))

    def counting_ge(self, inputs: int, slices: int, format: str) -> float:
        """Those of them that work in every step: counters, adder and accumulator."""
        return float(np.dot(self.neuron[1:], neuron_features(inputs, slices, format)[1:]))

    def shell_ge(self, inputs: int, slices: int, lanes: int) -> float:
        """Gates of a shell."""
        return float(np.dot(self.shell, shell_features(inputs, slices, lanes)))

    def array_ge(self, rows: int, inputs: int, slices: int, lanes: int, format: str) -> float:
        """Gates of an array unit; `rows` of all its banks."""
        return rows * self.neuron_ge(inputs, slices, format) + self.shell_ge(inputs, slices, lanes)

    @classmethod
    def read(cls, path: Path = DEFAULT_FIT) -> "CostModel":
        """From a file of `hardloom bench tiles`."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(held["neuron"].values()), tuple(held["shell"].values()), held["library"])
        except FileNotFoundError:
            raise UserError(f"{path}: the file does not exist; write it with `hardloom bench tiles -o FILE`") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: is no fit; write it again with `hardloom bench tiles -o FILE`") from None


def least_squares(features: Sequence[Sequence[float]], gates: Sequence[float]) -> tuple[float, ...]:
    """Coefficients with the least sum of squared relative errors."""
    weight = 1 / np.asarray(gates)
    solution = np.linalg.lstsq(np.asarray(features) * weight[:, None], np.ones(len(weight)), rcond=None)[0]
    return tuple(float(round(value, 6)) for value in solution)


def fit_tiles(measured: dict[str, Any]) -> dict[str, Any]:
    """The fit file's contents from what `measure_tiles` found."""
    tiles = [dict(tile) for tile in measured["measured"]]
    fitted = [tile for tile in tiles if not tile["held_out"]]
    model = CostModel(
        least_squares(
            [neuron_features(t["inputs"], t["slices"], t["format"]) for t in fitted], [t["neuron_ge"] for t in fitted]
        ),
        least_squares(
            [shell_features(t["inputs"], t["slices"], t["lanes"]) for t in fitted], [t["shell_ge"] for t in fitted]
        ),
        measured["library"],
    )
    for tile in tiles:
        true = tile["rows"] * tile["neuron_ge"] + tile["shell_ge"]
        predicted = model.array_ge(tile["rows"], tile["inputs"], tile["slices"], tile["lanes"], tile["format"])
        tile |= {
            "array_ge": round(true, 1),
            "predicted_ge": round(predicted, 1),
            "error": round(predicted / true - 1, 4),
        }
    worst = {held: max(abs(t["error"]) for t in tiles if t["held_out"] == held) for held in (False, True)}
    return {
        "command": "hardloom bench tiles",
        "library": measured["library"],
        "style": "metal",
        "neuron": dict(zip(NEURON, model.neuron, strict=True)),
        "shell": dict(zip(SHELL, model.shell, strict=True)),
        "worst_error_fitted": worst[False],
        "worst_error_held_out": worst[True],
        "tiles": tiles,
    }
