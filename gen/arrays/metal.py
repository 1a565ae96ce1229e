"""Embedding style `metal`: bit-serial Metal-Embedding.

Prefabricated neuron cells count lines; the weights are which input's wire enters which slot of which line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from gen.arrays import ports
from gen.arrays.capacity import Regions
from gen.arrays.plan import ArrayPlan
from gen.arrays.slots import assign, fitting_regions

__all__ = ["MetalGeometry", "connections", "geometry", "prefab"]

PLANES = 8  # bits of an activation, one a step and slice
SLOTS_A_LINE = 16
NEW_LINE = ord("\n")
WORD = 8  # bytes of the text of a slot, at most
END = b");\n"
WEIGHTS_AT_ONCE = 1 << 17  # a pass over rows stays in the cache


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

    def prefab_modules(self, plan: ArrayPlan) -> tuple[str, ...]:
        return (_shell(plan), self.neuron, "hardloom_serial_input", "hardloom_clock_gate")


def geometry(matrices: tuple[np.ndarray, ...], slices: int, format: str, lanes: int) -> MetalGeometry:
    """Geometry with the smallest capacity class that holds every row of ``matrices``."""
    return MetalGeometry(matrices[0].shape[1], slices, format, fitting_regions(matrices, slices, format))


def prefab(plan: ArrayPlan) -> Iterator[tuple[str, str, dict[str, object]]]:
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


def connections(plan: ArrayPlan) -> Iterator[bytes]:
    """Text of the array module, a few rows at a time: shell, neuron cells, and one wire a slot."""
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
    yield head.encode()
    for bank in range(plan.banks):
        yield from _neurons(plan, bank)
    yield ports.module_tail(plan).encode()


def _geometry(plan: ArrayPlan) -> MetalGeometry:
    assert isinstance(plan.geometry, MetalGeometry), f"{plan.name} is no metal array"
    return plan.geometry


def _shell(plan: ArrayPlan) -> str:
    return f"array_shell_metal_i{plan.inputs}_r{plan.rows}_l{plan.lanes}_t{plan.slices}"


def _neurons(plan: ArrayPlan, bank: int) -> Iterator[bytes]:
    """Neuron instances of one bank, a few rows at a time."""
    geometry = _geometry(plan)
    tokens, width = _tokens(plan.inputs)
    step = max(1, WEIGHTS_AT_ONCE // plan.inputs)
    held = np.empty((step, geometry.slots), dtype=np.int32)
    for start in range(0, plan.rows, step):
        slots = assign(plan.matrices[bank][start : start + step], geometry.regions, plan.slices, held)
        heads = [_instance(plan, geometry, bank, j) for j in range(start, start + len(slots))]
        yield _instances(heads, tokens, width, slots)


def _instance(plan: ArrayPlan, geometry: MetalGeometry, bank: int, row: int) -> bytes:
    """A neuron instance up to its slots."""
    pins = f"core_clk, rst, drain, shift, negate, {ports.chain(plan, bank, row)}, {ports.accumulator(bank, row)},"
    return f"    {geometry.neuron} neuron_{bank}_{row} ({pins}".encode()


@lru_cache(maxsize=8)
def _tokens(inputs: int) -> tuple[np.ndarray, int]:
    """What a slot may hold: no wire, p of each input, n of each, with a comma; and the width of all these texts.

    Every text is a word, uint64 [1 + 2 * inputs], its first character lowest; so inputs are below a million.
    """
    width = max(4, 1 + len(str(inputs - 1)))
    names = ["1'b0", *(f"p{i}" for i in range(inputs)), *(f"n{i}" for i in range(inputs))]
    text = "".join(f"{name:>{width}}," + " " * (WORD - width - 1) for name in names)
    return np.frombuffer(text.encode(), dtype="<u8"), width + 1


def _instances(heads: list[bytes], tokens: np.ndarray, width: int, slots: np.ndarray) -> bytes:
    """Text of neuron instances from their ``heads`` and slots [rows, slots]: a new line every few slots."""
    size = -(-slots.shape[1] // SLOTS_A_LINE) + slots.shape[1] * width - 1  # the last comma gives way to the end
    lengths = np.array([len(head) for head in heads])
    starts = np.cumsum(lengths + size + len(END)) - size - len(END)
    text = np.empty(starts[-1] + size + WORD, dtype=np.uint8)
    _write_slots(tokens, width, slots, starts, text)
    for head, start in zip(heads, starts.tolist(), strict=True):
        text[start - len(head) : start] = np.frombuffer(head, dtype=np.uint8)
        text[start + size : start + size + len(END)] = np.frombuffer(END, dtype=np.uint8)
    return text[: starts[-1] + size + len(END)].tobytes()


@njit(cache=True, nogil=True)
def _write_slots(tokens, width, slots, starts, text):
    """Write every row of ``slots`` from its place in ``starts`` on, whole words, so that the last one may go over."""
    for row in range(len(slots)):
        at = np.uint64(starts[row])
        for slot in range(slots.shape[1]):
            if slot % SLOTS_A_LINE == 0:
                text[at] = NEW_LINE
                at += np.uint64(1)
            word = tokens[np.uint32(slots[row, slot])]
            for place in range(WORD):  # becomes one store
                text[at + np.uint64(place)] = (word >> np.uint64(8 * place)) & np.uint64(0xFF)
            at += np.uint64(width)
