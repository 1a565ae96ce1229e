"""The embedding styles, and the plan of an array in one of them."""

from collections.abc import Sequence

import numpy as np

from gen.arrays import cell, metal, packed, rom, shared
from gen.arrays.plan import ArrayPlan
from golden.errors import UserError
from golden.quantization.integers import IntegerMatrix

__all__ = ["ADDRESSED", "FORMATS", "STYLES", "check_beat", "plan_array"]

STYLES = {"metal": metal, "packed": packed, "rom": rom, "shared": shared, "cell": cell}
"""Modules with `geometry`, `prefab` and `connections` (see docs/arrays.md)."""

ADDRESSED = ("rom", "shared")
"""Styles with an address a slice, which take `inputs / slices` inputs a cycle."""

FORMATS = ("mxfp4", "int4", "ternary")


def check_beat(style: str, inputs: int, slices: int, lanes: int) -> None:
    """Raises UserError where a beat holds no whole number of a cycle's inputs; ``slices`` divides ``inputs``."""
    wide = inputs // slices
    if style in ADDRESSED and lanes % wide:
        raise UserError(
            f"style {style}: {wide} inputs a cycle (inputs / slices) do not divide {lanes} lanes; take {inputs} slices"
        )


def plan_array(
    name: str, banks: Sequence[IntegerMatrix], lanes: int, slices: int, style: str, format: str
) -> ArrayPlan:
    """Plan the array unit ``name`` of matrices ``banks`` that share one input vector.

    Raises UserError where the numbers do not go together.
    """
    matrices = tuple(np.ascontiguousarray(bank.weights) for bank in banks)
    shapes = {matrix.shape for matrix in matrices}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise UserError(f"array {name}: its banks must be non-empty and of one shape, not {sorted(shapes)}")
    inputs = matrices[0].shape[1]
    for what, value in (("lanes", lanes), ("slices", slices)):
        if value < 1 or inputs % value:
            raise UserError(f"array {name}: {what} {value} does not divide its {inputs} inputs; choose a divisor")
    if style not in STYLES:
        raise UserError(f"array {name}: style {style!r} is unknown; choose one of {', '.join(STYLES)}")
    if format not in FORMATS:
        raise UserError(f"array {name}: format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    try:
        check_beat(style, inputs, slices, lanes)
        geometry = STYLES[style].geometry(matrices, slices, format, lanes)
    except UserError as error:
        raise UserError(f"array {name}: {error}") from None
    return ArrayPlan(name, matrices, lanes, slices, style, format, geometry)
