"""Embedding style `metal`: bit-serial Metal-Embedding.

Prefabricated neuron cells count lines; the weights are which input's wire enters which slot of which line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gen.arrays import ports
from gen.arrays.capacity import Regions
from gen.arrays.slots import assign, fitting_regions

if TYPE_CHECKING:
    from gen.arrays.plan import ArrayPlan

__all__ = ["MetalGeometry", "connections", "geometry", "prefab"]

PLANES = 8  # bits of an activation, one a step and slice
SLOTS_A_LINE = 16
WEIGHTS_AT_ONCE = 1 << 21  # bounds the memory of one pass over rows


@dataclass(frozen=True)
class MetalGeometry:
    """What the prefabricated text of a metal array depends on, besides rows, banks and lanes.

    Attributes
    ----------
    inputs, slices, format: as in the plan.
    regions: value and line capacity of every region of the neuron cell, at one capacity class.
    """

    inputs: int
    slices: int
    format: str
    regions: Regions

    @property
    def slots(self) -> int:
        """Slots of one neuron cell."""
        return sum(self.regions.lines) * self.slices

    @property
    def sum_width(self) -> int:
        """Bits of the adder: the sum of a plane and what is left of those before it stays below twice the largest."""
        largest = self.slices * sum(v * n for v, n in zip(self.regions.values, self.regions.lines, strict=True))
        return (2 * largest - 1).bit_length()

    @property
    def acc_width(self) -> int:
        return self.sum_width + PLANES - 1

    @property
    def compute_cycles(self) -> int:
        """Cycles between the last beat of one packet and the first of the next."""
        return PLANES * self.slices + 1

    @property
    def neuron(self) -> str:
        return f"neuron_{self.format}_i{self.inputs}_t{self.slices}_{self.regions.name}"

    def prefab_modules(self, plan: "ArrayPlan") -> tuple[str, ...]:
        return (_shell(plan), self.neuron, "hardloom_serial_input", "hardloom_clock_gate")


def geometry(matrices: tuple[np.ndarray, ...], slices: int, format: str) -> MetalGeometry:
    """Geometry with the smallest capacity class that holds every row of ``matrices``."""
    return MetalGeometry(matrices[0].shape[1], slices, format, fitting_regions(matrices, slices, format))


def prefab(plan: "ArrayPlan") -> Iterator[tuple[str, str, dict[str, object]]]:
    """Module, template and template names of everything that the weights do not touch."""
    cell = _geometry(plan)
    shell = ports.shell_names(plan) | {"name": _shell(plan), "slices": plan.slices}
    yield _shell(plan), "array_shell_metal", shell
    neuron = {
        "name": cell.neuron,
        "slices": cell.slices,
        "slots": cell.slots,
        "lines": sum(cell.regions.lines),
        "acc_width": cell.acc_width,
        **_region_names(cell.regions),
    }
    yield cell.neuron, "neuron_metal", neuron
    yield "hardloom_serial_input", "hardloom_serial_input", {}
    yield "hardloom_clock_gate", "hardloom_clock_gate", {}


def _region_names(regions: Regions) -> dict[str, object]:
    """Regions as the neuron's template wants them: in order of lines, and grouped by the odd factor 1 or 3."""
    first, named = 0, []
    for value, lines in zip(regions.values, regions.lines, strict=True):
        unit = value & -value
        named.append({"first": first, "lines": lines, "value": value, "unit": f"{unit.bit_length()}'d{unit}"})
        first += lines
    ones, threes = named[: regions.bits], named[regions.bits :]
    groups = [{"factor": factor, "regions": group} for factor, group in ((1, ones), (3, threes)) if group]
    return {"regions": named, "groups": groups}


def connections(plan: "ArrayPlan") -> bytes:
    """Text of the array module: shell, neuron cells, and one wire a slot."""
    geometry = _geometry(plan)
    lines = [f"p{i}, n{i}" for i in range(plan.inputs)]
    head = (
        ports.module_head(plan, f"metal, {geometry.regions.name}, input i in slice i % {plan.slices}")
        + "    wire core_clk, drain, shift, negate;\n"
        + "    // An input that no neuron weighs positively (negatively) leaves its p (n) unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + ports.wrapped("    wire ", lines, ";\n")
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + ports.accumulators(plan)
        + f"    {_shell(plan)} shell (\n        {ports.STREAM}, core_clk, drain, shift, negate,\n"
        + ports.wrapped("        ", lines, ");\n")
    )
    body = b"".join(text for bank in range(plan.banks) for text in _neurons(plan, bank))
    return head.encode() + body + ports.module_tail(plan).encode()


def _geometry(plan: "ArrayPlan") -> MetalGeometry:
    assert isinstance(plan.geometry, MetalGeometry), f"{plan.name} is no metal array"
    return plan.geometry


def _shell(plan: "ArrayPlan") -> str:
    return f"array_shell_metal_i{plan.inputs}_r{plan.rows}_l{plan.lanes}_t{plan.slices}"


def _neurons(plan: "ArrayPlan", bank: int) -> Iterator[bytes]:
    """Neuron instances of one bank, a few rows at a time."""
    geometry = _geometry(plan)
    tokens = _tokens(plan.inputs)
    step = max(1, WEIGHTS_AT_ONCE // plan.inputs)
    for start in range(0, plan.rows, step):
        slots = assign(plan.matrices[bank][start : start + step], geometry.regions, plan.slices)
        text = _slot_text(tokens, slots)
        for j, row in enumerate(text, start):
            acc, chain = ports.accumulator(bank, j), ports.chain(plan, bank, j)
            yield (
                f"    {geometry.neuron} neuron_{bank}_{j} "
                f"(core_clk, rst, drain, shift, negate, {chain}, {acc},".encode()
                + row.tobytes()
                + b");\n"
            )


def _tokens(inputs: int) -> np.ndarray:
    """What a slot may hold, as fixed-width text uint8 [1 + 2 * inputs, width]: no wire, p of each input, n of each."""
    width = max(4, 1 + len(str(inputs - 1)))
    names = ["1'b0", *(f"p{i}" for i in range(inputs)), *(f"n{i}" for i in range(inputs))]
    text = "".join(f"{name:>{width}}," for name in names)
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(len(names), width + 1)


def _slot_text(tokens: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """slots [rows, slots] of token numbers to text uint8 [rows, bytes]: a new line every few slots, no comma last."""
    rows, count = slots.shape
    width, text_lines = tokens.shape[1], -(-count // SLOTS_A_LINE)
    padded = np.zeros((rows, text_lines * SLOTS_A_LINE), dtype=slots.dtype)
    padded[:, :count] = slots
    text = np.full((rows, text_lines, 1 + SLOTS_A_LINE * width), ord("\n"), dtype=np.uint8)
    text[:, :, 1:] = tokens[padded].reshape(rows, text_lines, -1)
    return text.reshape(rows, -1)[:, : text_lines + count * width - 1]
