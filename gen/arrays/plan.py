"""What one array unit is: its geometry, its embedding style, its integers. Emission and extraction start from here."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gen.text.provenance import digest

__all__ = ["ArrayPlan", "Geometry"]


class Geometry(Protocol):
    """What every style's geometry says of an array.

    acc_width: bits of a result; compute_cycles: cycles between the last beat of one packet and the first of the next;
    fold: neurons that take turns at one adder.
    """

    @property
    def acc_width(self) -> int: ...

    @property
    def compute_cycles(self) -> int: ...

    @property
    def fold(self) -> int: ...

    def prefab_modules(self, plan: "ArrayPlan") -> tuple[str, ...]:
        """Names of the modules that do not depend on the weights, in the order of instantiation depth."""


@dataclass(frozen=True)
class ArrayPlan:
    """One array unit: ``out[b][j] = sum_i matrices[b][j, i] * x[i]`` for all banks b, x int8 in [-127, 127].

    Attributes
    ----------
    name: Verilog module.
    matrices: int32, or int16 for magnitudes below 4096, [rows, inputs], one a bank.
    lanes: elements of an input beat, and of each bank in an output beat.
    slices: parts that the inputs are fed in (input i in slice ``i % slices``).
    style, format: an embedding style and a weight format of `gen.arrays.styles`.
    geometry: what the style derives from the above without looking at single weights, but for a capacity class.
    """

    name: str
    matrices: tuple[np.ndarray, ...]
    lanes: int
    slices: int
    style: str
    format: str
    geometry: Geometry

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
