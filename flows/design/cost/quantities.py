"""What an array's gates are linear in, counted in its plan, by style; of large arrays, in the plan of a sample."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from math import gcd
from typing import Any, TypeVar

import numpy as np

from hardloom.flows.design.cost.shapes import ArrayShape, Counted, Quantities
from hardloom.flows.synth.arrays import normal_matrix, plan_matrix
from hardloom.gen.arrays import ArrayPlan
from hardloom.gen.arrays.metal import MetalForm
from hardloom.gen.arrays.multiplier import choice_bits, digits, magnitude_bits
from hardloom.gen.arrays.rings import fold_of, rings
from hardloom.gen.arrays.rom import RomForm
from hardloom.gen.arrays.serial import SerialForm, ranks_of
from hardloom.gen.arrays.shared_form import SharedForm
from hardloom.gen.arrays.styles import STYLES
from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = ["COUNTED", "count", "count_shape"]

SAMPLE = 128  # rows that are planned for all, at least
WHOLE = 1 << 20  # weights of such rows, at least: half the kinds of cells that a packed array has at most
MOST = 2048  # rows that are planned where they share logic

S = TypeVar("S", bound=SerialForm)


def metal(plan: ArrayPlan[MetalForm]) -> Quantities:
    """Prefabricated cells: every slot is there, used or not."""
    cell = plan.form
    cells, neurons = rings(plan.rows, plan.lanes, cell.fold), plan.rows * plan.banks
    held = [
        cell.cells[bank][kind].regions.lines
        for bank, matrix in enumerate(plan.matrices)
        for kind in cell.kind_of_cells(bank, matrix, cells)
    ]
    lines, bits = sum(map(sum, held)), sum(count.bit_length() for lines in held for count in lines)
    return Quantities(
        neurons={
            "merged_wires": lines * (cell.slices - 1),
            "counted_lines": lines,
            "count_bits": bits,
            "register_bits": neurons * cell.acc_width,
        },
        shell={
            "input_bits": plan.inputs * cell.planes,
            "feeds": cell.feeds if cell.fold > 1 else 0,
            "control_bits": cell.fold + cell.slices // cell.fold,
            "shells": 1,
        },
        steps=cell.steps,
        wire_toggles=plan.weights * cell.planes / 2,
        clocks=neurons * cell.acc_width * cell.steps,
        shell_clocks=plan.inputs * (cell.planes * plan.beats_in + (cell.planes + 1) ** 2 + 2 * cell.steps),
    )


def serial(plan: ArrayPlan[S], wires: dict[str, float], toggles: float) -> Quantities:
    """Of an address-serial array: multiply-accumulate units, and `wires` that tell them their weights."""
    form, units = plan.form, units_of(plan)
    product_bits = units * form.columns * magnitude_bits(form.magnitudes[-1], form.width)
    register_bits = units * form.fold * plan.acc_width
    return Quantities(
        neurons={**wires, "product_bits": product_bits, "register_bits": register_bits, "units": units},
        shell={
            "addresses": form.slices,
            "column_bits": form.columns * form.width,
            "lane_bits": plan.lanes * form.width,
            "shells": 1,
        },
        steps=form.steps,
        wire_toggles=toggles,
        clocks=register_bits * form.slices,
        shell_clocks=form.width * plan.inputs,
    )


def units_of(plan: ArrayPlan[S]) -> int:
    """Multiply-accumulate units of all banks."""
    return plan.banks * plan.lanes * ranks_of(plan)


def rom(plan: ArrayPlan[RomForm]) -> Quantities:
    """Units with the nodes that their weights need."""
    used = np.concatenate([nodes_of(matrix, plan.form, plan.lanes) for matrix in plan.matrices])
    wires, nodes = int(used.sum()), int((used > 0).sum())
    return serial(plan, {"merged_wires": wires - nodes, "nodes": nodes}, 2 * wires)


def shared(plan: ArrayPlan[SharedForm]) -> Quantities:
    """Units whose planes read a subset of every group of addresses, and the subsets, once an array.

    Formats differ in the multiples of an input that a column chooses among, and that the shell makes.
    """
    form, units = plan.form, units_of(plan)
    planes = units * form.planes
    read = sum(1 - 0.5**size for size in form.groups)
    choices = units * form.columns * choice_bits(digits(form.magnitudes, form.width), form.width)
    found = serial(plan, {"merged_wires": planes * (read - 1), "choice_bits": choices}, planes * form.slices / 2)
    multiples = form.columns * sum(bits for odd, bits in form.odds if odd > 1)
    return replace(
        found,
        shell=found.shell | {"multiple_bits": multiples},
        common={"subsets": sum(1 << size for size in form.groups)},
    )


def nodes_of(matrix: np.ndarray, rom: RomForm, lanes: int) -> np.ndarray:
    """Addresses of every node, int [units, nodes]: those at which two columns hold one pair of weights, not both 0.

    A unit holds the rows of a ring; columns 2g and 2g + 1 of it read inputs 2g and 2g + 1 of every `columns` in turn.
    """
    units = rings(len(matrix), lanes, rom.fold)
    values = np.where(units[:, :, None] < 0, 0, matrix[units]).reshape(len(units), -1, rom.columns)
    known = np.sort(rom.values)
    codes, zero, size = np.searchsorted(known, values), int(np.searchsorted(known, 0)), len(known)
    pairs = np.full((*codes.shape[:2], -(-rom.columns // 2)), zero)
    pairs[:, :, : rom.columns // 2] = codes[:, :, 1::2]
    pairs += codes[:, :, 0::2] * size
    places = (
        pairs + size**2 * np.arange(pairs.shape[2]) + size**2 * pairs.shape[2] * np.arange(len(units))[:, None, None]
    )
    counts = np.bincount(places.ravel(), minlength=len(units) * pairs.shape[2] * size**2)
    counts = counts.reshape(len(units), pairs.shape[2], size**2)
    counts[:, :, zero * size + zero] = 0
    return counts.reshape(len(units), -1)


COUNTED: dict[str, Callable[[ArrayPlan[Any]], Quantities]] = {
    "metal": metal,
    "packed": metal,
    "rom": rom,
    "shared": shared,
}
"""By style, baselines left out."""


def count(plan: ArrayPlan) -> Quantities:
    """Quantities of an array, in whatever style of `COUNTED`."""
    return COUNTED[plan.style.name](plan)


def sample_of(shape: ArrayShape) -> tuple[int, int]:
    """Rows and lanes of a smaller array whose units are like those of `shape`; where neurons share, of all of it."""
    style = STYLES[shape.style]
    if style.neurons_share:
        return min(shape.rows * shape.banks, MOST), shape.lanes
    if style.addressed:
        return min(shape.rows, max(SAMPLE, 8 * shape.lanes)), shape.lanes
    rows = max(SAMPLE, WHOLE // shape.inputs)
    if shape.rows <= rows:
        return shape.rows, shape.lanes
    fold = fold_of(shape.rows, shape.inputs, shape.lanes, shape.slices)
    most = max(1, rows // fold)
    lanes = gcd(shape.inputs, 1 << (most.bit_length() - 1))
    return fold * lanes, lanes


@lru_cache(maxsize=8)
def matrix_of(rows: int, inputs: int, format: str) -> IntegerMatrix:
    return normal_matrix(rows, inputs, format)


@cache
def count_sample(style: str, rows: int, inputs: int, slices: int, lanes: int, format: str, bits: int) -> Counted:
    """Of an array of one bank of normal weights, from its plan."""
    plan = plan_matrix(matrix_of(rows, inputs, format), style, slices, lanes, format, bits)
    return Counted(count(plan), plan.form.compute_cycles)


@cache
def count_shape(shape: ArrayShape) -> Counted:
    """Of an array of normal weights, from its plan or, where it is large, from that of a sample."""
    rows, lanes = sample_of(shape)
    sample = count_sample(shape.style, rows, shape.inputs, shape.slices, lanes, shape.format, shape.bits)
    whole = sample.quantities.times(shape.rows * shape.banks / rows, shape.lanes * shape.bits)
    return Counted(whole, sample.compute_cycles)
