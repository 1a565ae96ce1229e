"""Coefficients of the cost model: least squares over measured tiles, checked on those that were held out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["fit_tiles"]

PARTS = ("core", "shell")


def fit_tiles(measured: dict[str, Any]) -> dict[str, Any]:
    """The file that `CostModel.read` takes, from what `measure_tiles` found."""
    tiles = [dict(tile) for tile in measured["tiles"]]
    styles = {}
    for style in dict.fromkeys(tile["style"] for tile in tiles):
        own = [tile for tile in tiles if tile["style"] == style]
        fitted = [tile for tile in own if not tile["held_out"]]
        laws = {part: least_squares([t[part] for t in fitted], [t[f"{part}_ge"] for t in fitted]) for part in PARTS}
        for tile in own:
            gates = {part: value(laws[part], tile[part]) for part in PARTS}
            true, predicted = sum(tile[f"{part}_ge"] for part in PARTS), sum(gates.values())
            tile |= {
                "predicted_ge": round(predicted, 1),
                "error": round(predicted / true - 1, 4),
                "core_error": round(gates["core"] / tile["core_ge"] - 1, 4),
            }
        errors = {held: max(abs(t["error"]) for t in own if t["held_out"] == held) for held in (False, True)}
        styles[style] = laws | {"worst_error_fitted": errors[False], "worst_error_held_out": errors[True]}
    return {"command": "hardloom bench tiles", "library": measured["library"], "styles": styles, "tiles": tiles}


def least_squares(quantities: Sequence[dict[str, float]], gates: Sequence[float]) -> dict[str, float]:
    """Gates a unit of each quantity, with the least sum of squared relative errors."""
    names = list(quantities[0])
    table = np.array([[entry[name] for name in names] for entry in quantities]) / np.array(gates)[:, None]
    size = np.linalg.norm(table, axis=0)
    found = np.linalg.lstsq(table / size, np.ones(len(table)), rcond=None)[0] / size
    return {name: float(round(number, 6)) for name, number in zip(names, found, strict=True)}


def value(law: dict[str, float], quantities: dict[str, float]) -> float:
    """Gates by a law."""
    return sum(law[name] * quantities[name] for name in law)
