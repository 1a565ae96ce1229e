"""The styles by name, and the plan of an array in one of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hardloom.gen.arrays.cell import Cell
from hardloom.gen.arrays.metal import Metal
from hardloom.gen.arrays.packed import Packed
from hardloom.gen.arrays.rom import Rom
from hardloom.gen.arrays.shared import Shared
from hardloom.gen.arrays.style import ArrayPlan, Style
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.formats import FORMATS
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.units.quantize import Quantize

__all__ = ["STYLES", "plan_array"]

STYLES: dict[str, Style[Any]] = {style.name: style for style in (Metal(), Packed(), Rom(), Shared(), Cell())}
"""Every style; registries of the other floors have the same keys (`tests/project/test_styles.py`)."""


def plan_array(
    name: str,
    banks: Sequence[IntegerMatrix],
    lanes: int,
    slices: int,
    style: str,
    format: str | Sequence[str],
    activation: Quantize = Quantize(),
) -> ArrayPlan[Any]:
    """Plan the array unit `name` of matrices `banks` that share one input vector, of one format or each of its own.

    activation: what made the vector.
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
    formats = (format,) * len(banks) if isinstance(format, str) else tuple(format)
    if strange := [each for each in formats if each not in FORMATS]:
        raise UserError(f"array {name}: format {strange[0]!r} is unknown; choose one of {', '.join(FORMATS)}")
    try:
        STYLES[style].check_beat(inputs, slices, lanes)
        STYLES[style].check_formats(formats)
        form = STYLES[style].form(matrices, slices, formats, lanes, activation.width)
    except UserError as error:
        raise UserError(f"array {name}: {error}") from None
    return ArrayPlan(name, matrices, lanes, slices, formats, activation, STYLES[style], form)
