"""A cell library: what of it synthesis, timing and power need to know.

Cells are found by what they do (a full adder, a clock gate), whatever their names are; Yosys, ABC and OpenSTA read
`Library.text`, which holds what was understood of the user's files and nothing else.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hardloom.flows.synth.library.cell import DONT_USE, Cell
from hardloom.flows.synth.library.liberty import Group, group_lines
from hardloom.flows.synth.library.tables import template_groups
from hardloom.flows.synth.library.units import Units
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file

__all__ = ["Library", "clock_gate", "reasons"]

NAMED = 3
"""Cells named of a reason to leave them out, and reasons told; --json has all."""


@dataclass(frozen=True)
class Adder:
    """cell: name; inputs: its pins; outputs: `carry` or `carry_n` (inverted), `sum` or `sum_n`, to pins."""

    cell: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]


@dataclass(frozen=True)
class ClockGate:
    """cell: name; its pins; test: its test enable, if it has one."""

    cell: str
    clock: str
    enable: str
    output: str
    test: str | None


@dataclass(frozen=True)
class Latch:
    """cell: name; its pins; inverted: transparent while `enable` is low; output_n: the output is inverted."""

    cell: str
    data: str
    enable: str
    output: str
    inverted: bool
    output_n: bool


@dataclass(frozen=True)
class Library:
    """One or several Liberty files that belong together.

    Attributes
    ----------
    name: of the first file's library group; files: their names, for messages.
    cells: those that may be used, by name, in the order of their names.
    left_out: the others that have outputs, and why.
    units: of every number in `cells`.
    head: further numbers of the whole, such as `nom_voltage`, as text.
    """

    name: str
    files: str
    cells: dict[str, Cell] = field(repr=False)
    left_out: dict[str, str] = field(repr=False)
    units: Units
    head: dict[str, str]

    @cached_property
    def text(self) -> str:
        """Liberty of the cells: ASCII, the same for the same cells, whatever files they came in."""
        groups = [cell.group for cell in self.cells.values()]
        attributes = {"delay_model": "table_lookup"} | self.units.attributes() | self.head
        whole = Group("library", ["cells"], attributes, [*template_groups(groups), *groups])
        return "\n".join(group_lines(whole)) + "\n"

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(f"{self.name}\n{self.text}".encode()).hexdigest()

    @property
    def not_understood(self) -> dict[str, str]:
        """What was left out though the library does not ask for it."""
        return {name: reason for name, reason in self.left_out.items() if reason != DONT_USE}

    @property
    def volts(self) -> float:
        """Of the supply. Raises UserError where the library does not say."""
        if "nom_voltage" not in self.head:
            raise UserError(f"{self.files}: has no nom_voltage, so there is no energy of it; leave out --power")
        return float(self.head["nom_voltage"]) * self.units.volts

    def write(self, path: Path) -> None:
        """The text as a file, for tools that read Liberty."""
        write_file(path, self.text)

    @cached_property
    def nand2(self) -> Cell:
        """The NAND2 whose area is 1 GE: the smallest."""
        return self._smallest("2-input NAND", 2, 0b0111)

    @cached_property
    def buffer(self) -> Cell:
        """The smallest."""
        return self._smallest("buffer", 1, 0b10)

    def _smallest(self, what: str, inputs: int, table: int) -> Cell:
        """The smallest gate of a truth table. Raises UserError where there is none."""
        found = self._gates(inputs, {table})
        if not found:
            raise self._lacks(what)
        return found[0]

    def _gates(self, inputs: int, outputs: set[int]) -> list[Cell]:
        """Gates of so many inputs that have these truth tables, one an output, the smallest first."""
        return sorted(
            (
                cell
                for cell in self.cells.values()
                if cell.kind == "gate" and (len(cell.inputs), len(cell.outputs)) == (inputs, len(outputs))
                and set(cell.truth([pin.name for pin in cell.inputs]).values()) == outputs
            ),
            key=lambda cell: (cell.area, cell.name),
        )  # fmt: skip

    def _lacks(self, what: str) -> UserError:
        why = f" ({reasons(self.left_out)})" if self.left_out else ""
        return UserError(f"{self.files}: has no {what}{why}; give another --liberty, or all that belong together")

    @cached_property
    def full_adder(self) -> Adder | None:
        """The smallest full adder, or None."""
        carry, total = 0b11101000, 0b10010110
        roles = {carry: "carry", carry ^ 0xFF: "carry_n", total: "sum", total ^ 0xFF: "sum_n"}
        found = [cell for a in (carry, carry ^ 0xFF) for b in (total, total ^ 0xFF) for cell in self._gates(3, {a, b})]
        if not found:
            return None
        cell = min(found, key=lambda cell: (cell.area, cell.name))
        inputs = tuple(pin.name for pin in cell.inputs)
        return Adder(cell.name, inputs, {roles[table]: pin for pin, table in cell.truth(inputs).items()})

    @cached_property
    def clock_gate(self) -> ClockGate | None:
        """The smallest latch-based clock gate with an active-high output, with a test pin if it can be; or None."""
        gates = [(cell, clock_gate(cell)) for cell in self.cells.values()]
        found = [(gate.test is None, cell.area, cell.name, gate) for cell, gate in gates if gate]
        return min(found, key=lambda item: item[:3])[-1] if found else None

    @cached_property
    def latch(self) -> Latch | None:
        """The smallest plain latch, or None."""
        latches = [(cell, plain_latch(cell)) for cell in self.cells.values()]
        found = [(latch.inverted + latch.output_n, cell.area, cell.name, latch) for cell, latch in latches if latch]
        return min(found, key=lambda item: item[:3])[-1] if found else None

    def check(self) -> None:
        """Raises UserError where synthesis would lack a kind of cell; ABC takes no library without a buffer."""
        self.nand2, self.buffer  # noqa: B018
        self._smallest("inverter", 1, 0b01)
        if not any(cell.kind == "flip-flop" for cell in self.cells.values()):
            raise self._lacks("flip-flop")


def reasons(left_out: Mapping[str, str]) -> str:
    """What was left out of a library, by reason: `left out: A, B, C and 5 more, is marked dont_use; D, has a bus`."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    phrases = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        phrases.append(f"{', '.join(names[:NAMED])}{more}: {reason}")
    rest = [f"{len(phrases) - NAMED} more reasons"] if len(phrases) > NAMED else []
    return f"cells left out: {'; '.join(phrases[:NAMED] + rest)}"


def clock_gate(cell: Cell) -> ClockGate | None:
    """What `cell` is as a clock gate with a latch that is open while the clock is low; None if it is none."""
    if not cell.gating.startswith("latch_posedge"):
        return None
    pins = {
        role: [pin.name for pin in cell.pins if pin.group.says(f"clock_gate_{role}_pin")]
        for role in ("clock", "enable", "test", "out")
    }
    if any(len(pins[role]) != 1 for role in ("clock", "enable", "out")) or len(pins["test"]) > 1:
        return None
    driven = {name for role in ("clock", "enable", "test") for name in pins[role]}
    if driven != {pin.name for pin in cell.inputs}:
        return None
    (clock,), (enable,), (out,) = pins["clock"], pins["enable"], pins["out"]
    return ClockGate(cell.name, clock, enable, out, pins["test"][0] if pins["test"] else None)


def plain_latch(cell: Cell) -> Latch | None:
    """What `cell` is as a latch of data and enable alone, None if it is none."""
    state = cell.state
    if cell.kind != "latch" or state is None or len(cell.inputs) != 2:
        return None
    names, out = {pin.name for pin in cell.inputs}, cell.outputs[0]
    enable, data = state.text("enable"), state.text("data_in")
    pin = enable.removeprefix("!")
    if {pin, data} != names or out.function not in state.args or state.attributes.keys() - {"enable", "data_in"}:
        return None
    return Latch(cell.name, data, pin, out.name, enable != pin, out.function == state.args[1])
