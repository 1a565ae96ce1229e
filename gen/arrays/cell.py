"""Style `cell`: Cell-Embedding, one constant multiplier a weight, a whole vector in one cycle.

The baseline that `metal` is compared with: same ports, same stream contract.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hardloom.gen.arrays import ports
from hardloom.gen.arrays.capacity import magnitude_bits
from hardloom.gen.arrays.shells import CLOCK_GATE, CellShell, Prefab
from hardloom.gen.arrays.style import ArrayPlan, Style

__all__ = ["Cell", "CellForm"]


@dataclass(frozen=True)
class CellForm:
    """inputs: of a row; width: bits of one; bits: of the largest magnitude provided for."""

    inputs: int
    width: int
    bits: int

    @property
    def acc_width(self) -> int:
        limit = (1 << (self.width - 1)) - 1
        return (limit * self.inputs * ((1 << self.bits) - 1)).bit_length() + 1

    @property
    def steps(self) -> int:
        """Cycles in which a packet is added up."""
        return 1

    @property
    def compute_cycles(self) -> int:
        """Cycles between the last beat of one packet and the first of the next."""
        return 0

    @property
    def fold(self) -> int:
        """Neurons that take turns at one adder."""
        return 1


class Cell(Style[CellForm]):
    """Constant multipliers; slices mean nothing here."""

    name = "cell"
    shells = CellShell
    baseline = True

    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> CellForm:
        """Form with room for the magnitudes of `matrices`."""
        largest = max(int(np.abs(matrix).max()) for matrix in matrices)
        return CellForm(matrices[0].shape[1], width, max(largest.bit_length(), *map(magnitude_bits, formats)))

    def shell(self, plan: ArrayPlan[CellForm]) -> CellShell:
        return CellShell(**plan.stream, acc_width=plan.acc_width)

    def prefab(self, plan: ArrayPlan[CellForm]) -> Iterator[Prefab]:
        yield self.shell(plan).prefab
        yield CLOCK_GATE

    def connections(self, plan: ArrayPlan[CellForm]) -> Iterator[bytes]:
        """A row at a time: shell, and for every row the sum of its constant multiples."""
        inputs = [f"x{i}" for i in range(plan.inputs)]
        head = (
            ports.module_head(plan, "cell")
            + "    wire core_clk, take;\n"
            + "    // An input that no row weighs leaves its x unused.\n"
            + "    /* verilator lint_off UNUSEDSIGNAL */\n"
            + ports.wrapped(f"    wire signed [{plan.acc_width - 1}:0] ", inputs, ";\n")
            + "    /* verilator lint_on UNUSEDSIGNAL */\n"
            + ports.accumulators(plan, plan.rows, "reg")
            + f"    {plan.shell} shell (\n        {ports.STREAM}, core_clk, take,\n"
            + ports.wrapped("        ", inputs, ");\n")
        )
        yield head.encode()
        for bank, matrix in enumerate(plan.matrices):
            yield from (text.encode() for text in _rows(plan, bank, matrix))
        yield ports.module_tail(plan, plan.rows).encode()

    def small_slices(self, inputs: int) -> int:
        return 1


def _rows(plan: ArrayPlan[CellForm], bank: int, matrix: np.ndarray) -> Iterator[str]:
    """One clocked accumulator a row, with its shift-adds."""
    values, number = np.unique(matrix, return_inverse=True)
    terms = np.array([[_term(int(value), i) for i in range(plan.inputs)] for value in values], dtype=object)
    picked = terms[number.reshape(matrix.shape), np.arange(plan.inputs)]
    for row, words in enumerate(picked):
        acc, source = ports.accumulator(bank, row), ports.drain_source(plan, bank, row, plan.rows)
        yield (
            f"    always @(posedge core_clk)\n        if (!take) {acc} <= {source};\n"
            f"        else {acc} <= {plan.acc_width}'sd0{''.join(words)};\n"
        )


def _term(weight: int, i: int) -> str:
    """`weight * x<i>` as signed shifts, the fewest (canonical signed digits)."""
    digits, shift, rest = [], 0, weight
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            rest -= digit
            digits.append(f" {'+' if digit > 0 else '-'} " + (f"(x{i} <<< {shift})" if shift else f"x{i}"))
        rest, shift = rest >> 1, shift + 1
    return "".join(digits)
