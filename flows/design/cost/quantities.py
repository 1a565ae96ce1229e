"""What an array's gates are linear in, counted in its plan, by style."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from gen.arrays import ArrayPlan
from gen.arrays.metal import PLANES, MetalForm
from gen.arrays.multiplier import magnitude_bits
from gen.arrays.rings import rings
from gen.arrays.rom import RomForm
from gen.arrays.serial import SerialForm, ranks_of
from gen.arrays.shared_form import SharedForm

__all__ = ["COUNTED", "Quantities", "count"]


S = TypeVar("S", bound=SerialForm)


@dataclass(frozen=True)
class Quantities:
    """Of one array.

    Attributes
    ----------
    neurons: of all neurons together, and in proportion to them; shell: of the shell; common: of what neurons share,
        which is synthesized with them. By name.
    steps: cycles of a packet in which neurons add.
    wire_toggles: gates that a packet toggles between an input or an address and where neurons count or multiply.
    clocks, shell_clocks: register bits of neurons and shell, each as often as a packet clocks it.
    """

    neurons: dict[str, float]
    shell: dict[str, float]
    steps: int
    wire_toggles: float
    clocks: float
    shell_clocks: float
    common: dict[str, float] = field(default_factory=dict)

    @property
    def core(self) -> dict[str, float]:
        """All but the shell's."""
        return self.neurons | self.common

    def times(self, neurons: float, lanes: int) -> "Quantities":
        """Of an array with so many times the neurons, and of so many lanes."""
        return Quantities(
            {name: neurons * value for name, value in self.neurons.items()},
            self.shell | ({"lanes": lanes} if "lanes" in self.shell else {}),
            self.steps,
            neurons * self.wire_toggles,
            neurons * self.clocks,
            self.shell_clocks,
            self.common,
        )


def metal(plan: ArrayPlan[MetalForm]) -> Quantities:
    """Prefabricated cells: every slot is there, used or not."""
    cell = plan.form
    cells, neurons = rings(plan.rows, plan.lanes, cell.fold), plan.rows * plan.banks
    kinds = np.concatenate([cell.kind_of_cells(matrix, cells) for matrix in plan.matrices])
    numbers = np.bincount(kinds, minlength=len(cell.kinds)).tolist()
    lines = sum(number * sum(regions.lines) for number, regions in zip(numbers, cell.kinds, strict=True))
    bits = sum(n * sum(x.bit_length() for x in regions.lines) for n, regions in zip(numbers, cell.kinds, strict=True))
    return Quantities(
        neurons={
            "merged_wires": lines * (cell.slices - 1),
            "counted_lines": lines,
            "count_bits": bits,
            "register_bits": neurons * cell.acc_width,
        },
        shell={
            "inputs": plan.inputs,
            "feeds": cell.feeds if cell.fold > 1 else 0,
            "control_bits": cell.fold + cell.slices // cell.fold,
            "shells": 1,
        },
        steps=cell.steps,
        wire_toggles=plan.weights * PLANES / 2,
        clocks=neurons * cell.acc_width * cell.steps,
        shell_clocks=plan.inputs * (PLANES * plan.beats_in + 9 * (PLANES + 1) + 2 * cell.steps),
    )


def serial(plan: ArrayPlan[S], wires: dict[str, float], toggles: float, common: dict[str, float]) -> Quantities:
    """Of an address-serial array: multiply-accumulate units, and `wires` that tell them their weights."""
    form, units = plan.form, plan.banks * plan.lanes * ranks_of(plan)
    product_bits = units * form.columns * magnitude_bits(form.magnitudes[-1])
    register_bits = units * form.fold * plan.acc_width
    return Quantities(
        neurons={**wires, "product_bits": product_bits, "register_bits": register_bits, "units": units},
        shell={"addresses": form.slices, "columns": form.columns, "lanes": plan.lanes, "shells": 1},
        steps=form.steps,
        wire_toggles=toggles,
        clocks=register_bits * form.slices,
        shell_clocks=PLANES * plan.inputs,
        common=common,
    )


def rom(plan: ArrayPlan[RomForm]) -> Quantities:
    """Units with the nodes that their weights need."""
    used = np.concatenate([nodes_of(matrix, plan.form, plan.lanes) for matrix in plan.matrices])
    wires, nodes = int(used.sum()), int((used > 0).sum())
    return serial(plan, {"merged_wires": wires - nodes, "nodes": nodes}, 2 * wires, {})


def shared(plan: ArrayPlan[SharedForm]) -> Quantities:
    """Units whose planes read a subset of every group of addresses, and the subsets, once an array."""
    form, planes = plan.form, plan.banks * plan.lanes * ranks_of(plan) * plan.form.planes
    read = sum(1 - 0.5**size for size in form.groups)
    subsets = sum(1 << size for size in form.groups)
    return serial(plan, {"merged_wires": planes * (read - 1)}, planes * form.slices / 2, {"subsets": subsets})


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
