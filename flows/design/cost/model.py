"""The cost model: gates and cycles of an array of any size, from the plan of a sample of its rows."""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from math import gcd
from pathlib import Path
from typing import Any

from flows.design.cost.quantities import Quantities, count
from flows.synth.arrays import normal_matrix, plan_matrix
from gen.arrays.rings import fold_of
from gen.arrays.styles import STYLES
from golden.errors import UserError
from golden.quantization.integers import IntegerMatrix

__all__ = ["DEFAULT_FIT", "ArrayCost", "ArrayShape", "CostModel"]

DEFAULT_FIT = Path(__file__).parent / "data" / "fit.json"
SAMPLE = 128  # rows that are planned for all
MOST = 2048  # rows that are planned where they share logic


@dataclass(frozen=True)
class ArrayShape:
    """An array unit of random normal weights: `banks` matrices of [rows, inputs] in a style."""

    style: str
    rows: int
    inputs: int
    slices: int
    lanes: int
    banks: int = 1


@dataclass(frozen=True)
class ArrayCost:
    """Of one array.

    Attributes
    ----------
    neurons_ge, shared_ge: gates (NAND2 = 1) of the neurons, and of shell and what neurons share, once an array.
    adding_ge: gates of the neurons that work in every step, which is all but those that merge wires.
    packet_cycles: clock cycles from one packet to the next, as in its plan.
    quantities: of the whole array.
    """

    neurons_ge: float
    shared_ge: float
    adding_ge: float
    packet_cycles: int
    quantities: Quantities


@dataclass(frozen=True)
class CostModel:
    """Gates a unit of each quantity (`flows.design.cost.quantities`) by style, of neurons (`core`) and of the shell."""

    library: str
    styles: dict[str, dict[str, Any]]

    def cost(self, shape: ArrayShape) -> ArrayCost:
        """What an array of a shape costs."""
        quantities, compute_cycles = planned(shape)
        laws = self.styles[shape.style]
        gates = {name: law * quantities.core[name] for name, law in laws["core"].items()}
        common = sum(gates[name] for name in quantities.common)
        neurons = sum(gates.values()) - common
        shell = sum(law * quantities.shell[name] for name, law in laws["shell"].items())
        packet = max(shape.inputs // shape.lanes, compute_cycles + -(-shape.rows // shape.lanes))
        return ArrayCost(neurons, common + shell, neurons - gates["merged_wires"], packet, quantities)

    @classmethod
    def read(cls, path: Path = DEFAULT_FIT) -> "CostModel":
        """From a file of `hardloom bench tiles`."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            return cls(held["library"], {style: dict(laws) for style, laws in held["styles"].items()})
        except FileNotFoundError:
            raise UserError(f"{path}: the file does not exist; write it with `hardloom bench tiles -o FILE`") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: is no fit; write it again with `hardloom bench tiles -o FILE`") from None


def sample_of(shape: ArrayShape) -> tuple[int, int]:
    """Rows and lanes of a smaller array whose units are like those of `shape`; where neurons share, of all of it."""
    style = STYLES[shape.style]
    if style.neurons_share:
        return min(shape.rows * shape.banks, MOST), shape.lanes
    if style.addressed:
        return min(shape.rows, max(SAMPLE, 8 * shape.lanes)), shape.lanes
    fold = fold_of(shape.rows, shape.inputs, shape.lanes, shape.slices)
    most = max(1, min(SAMPLE, shape.rows) // fold)
    lanes = gcd(shape.inputs, 1 << (most.bit_length() - 1))
    return fold * lanes, lanes


@lru_cache(maxsize=8)
def matrix_of(rows: int, inputs: int) -> IntegerMatrix:
    return normal_matrix(rows, inputs)


@cache
def counted(style: str, rows: int, inputs: int, slices: int, lanes: int) -> tuple[Quantities, int]:
    """Quantities and compute cycles of an array of one bank, from its plan."""
    plan = plan_matrix(matrix_of(rows, inputs), style, slices, lanes)
    return count(plan), plan.form.compute_cycles


@cache
def planned(shape: ArrayShape) -> tuple[Quantities, int]:
    """Quantities and compute cycles of an array, from the plan of a sample."""
    rows, lanes = sample_of(shape)
    sample, compute_cycles = counted(shape.style, rows, shape.inputs, shape.slices, lanes)
    return sample.times(shape.rows * shape.banks / rows, shape.lanes), compute_cycles
