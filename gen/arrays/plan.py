"""What one array unit is: its geometry, its embedding style, its integers. Emission and extraction start from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gen.arrays import cell, metal, packed, rom
from gen.provenance import digest
from golden.errors import UserError
from golden.integers import IntegerMatrix

__all__ = ["FORMATS", "STYLES", "ArrayPlan", "plan_array"]

STYLES = {"metal": metal, "packed": packed, "rom": rom, "cell": cell}
"""Embedding styles: modules with `geometry`, `cycles`, `prefab` and `connections` (see docs/arrays.md)."""

FORMATS = ("mxfp4", "int4", "ternary")
PLANES = 8  # bits of an activation


@dataclass(frozen=True)
class ArrayPlan:
    """One array unit: ``out[b][j] = sum_i matrices[b][j, i] * x[i]`` for all banks b, x int8 in [-127, 127].

    Attributes
    ----------
    name: Verilog module.
    matrices: int32, or int16 for magnitudes below 4096, [rows, inputs], one a bank.
    lanes: elements of an input beat, and of each bank in an output beat.
    slices: parts that the inputs are fed in (input i in slice ``i % slices``).
    style: one of `STYLES`; format: one of `FORMATS`.
    geometry: what the style derives from the above without looking at single weights, but for a capacity class.
    """

    name: str
    matrices: tuple[np.ndarray, ...]
    lanes: int
    slices: int
    style: str
    format: str
    geometry: "metal.MetalGeometry | rom.RomGeometry | cell.CellGeometry"

    @property
    def banks(self) -> int:
        return len(self.matrices)

    @property
    def rows(self) -> int:
        """Rows of one bank."""
        return self.matrices[0].shape[0]

    @property
    def inputs(self) -> int:
        return self.matrices[0].shape[1]

    @property
    def weights(self) -> int:
        """Hardwired weights of all banks, zeros included."""
        return self.rows * self.inputs * self.banks

    @property
    def beats_in(self) -> int:
        return self.inputs // self.lanes

    @property
    def beats_out(self) -> int:
        return -(-self.rows // self.lanes)

    @property
    def acc_width(self) -> int:
        """Bits of one result, two's complement; depends on the geometry only."""
        return self.geometry.acc_width

    @property
    def cycles_per_packet(self) -> int:
        """Clock cycles from one packet to the next when nobody waits: the longer of loading and computing."""
        return max(self.beats_in, self.geometry.compute_cycles + self.beats_out)

    @property
    def prefab_modules(self) -> tuple[str, ...]:
        """Names of the modules that do not depend on the weights, in the order of instantiation depth."""
        return self.geometry.prefab_modules(self)

    @cached_property
    def sha256(self) -> str:
        """Over the integer weights of all banks, in order."""
        return digest(*self.matrices)


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
    geometry = STYLES[style].geometry(matrices, slices, format, lanes)
    return ArrayPlan(name, matrices, lanes, slices, style, format, geometry)
