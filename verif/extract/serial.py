"""Reads every weight back out of the connection file of a serial array, knowing nothing of the emitter."""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import Instance, instance_at, instances
from hardloom.verif.extract.mac import MacUnit, read_mac
from hardloom.verif.extract.ports import STREAM, input_width
from hardloom.verif.extract.prefab import read_prefab
from hardloom.verif.extract.rom import NodeReader
from hardloom.verif.extract.shared import PlaneReader
from hardloom.verif.extract.window import Window

__all__ = ["SerialArray", "serial_array"]

SHELL = re.compile(
    r"(?:\w+_)?array_shell_serial_i(\d{1,9})_r(\d{1,9})_l(\d{1,9})_t(\d{1,9})_f(\d{1,9})_(b\d{1,9}e\d{1,9})_x(\d{1,9}(?:_\d{1,9})*)"
)


class PinReader(Protocol):
    """Reads the pins that tell a unit its weights."""

    start: int
    """Where the first unit begins."""

    def read(self, data: bytes, at: int, weights: np.ndarray) -> int:
        """Weights from the pins from `at` of text `data` on, int32 [columns, addresses]; where the closing bracket is.

        Raises ExtractionError where they are malformed.
        """


@dataclass(frozen=True)
class SerialArray:
    """What the shell's name and the ports say of an array, and the unit's text of the width of its sums.

    Attributes
    ----------
    unit: the unit that all its cells are; pins: reads theirs; window: the array's text.
    """

    name: str
    inputs: int
    rows: int
    banks: int
    lanes: int
    slices: int
    columns: int
    fold: int
    acc_width: int
    unit: MacUnit = field(repr=False)
    pins: PinReader = field(repr=False)
    window: Window = field(repr=False)

    @property
    def width(self) -> int:
        """Bits of an input."""
        return self.unit.limit.bit_length() + 1

    @property
    def units(self) -> int:
        """Units of a bank."""
        return self.lanes * -(-self.rows // (self.lanes * self.fold))

    def wire(self, bank: int, unit: int) -> str:
        """Result wire of a unit, or zero behind the last."""
        return f"m_{bank}_{unit}" if unit < self.units else f"{self.acc_width}'d0"

    def read(self) -> Generator[np.ndarray, None, int]:
        """Weights of all units, int32 [rows, inputs], a rank of units at a time; where the units end.

        Raises ExtractionError where a unit is missing, malformed or connected wrongly.
        """
        at, shared = self.pins.start, {"clk": "core_clk"} | {port: port for port in self.unit.control[1:]}
        rank = np.zeros((self.lanes, self.columns, self.slices), dtype=np.int32)
        for bank, place in np.ndindex(self.banks, self.units):
            at = self.window.hold(at, b");\n")
            instance = instance_at(self.window.data, at)
            if instance is None or (instance.module, instance.name) != (self.unit.name, f"mac_{bank}_{place}"):
                raise ExtractionError(f"{self.name}: unit {place} of bank {bank} is missing")
            pins, at = instance.leading(self.unit.control)
            chain, acc = self.wire(bank, place + self.lanes), self.wire(bank, place)
            if pins != shared | {"chain": chain, "acc": acc}:
                raise ExtractionError(f"{self.name}: unit {place} of bank {bank} is connected wrongly")
            at = self.pins.read(self.window.data, at, rank[place % self.lanes])
            if self.window.data[at : at + 3] != b");\n":
                raise ExtractionError(f"{self.name}: unit {place} of bank {bank} is malformed at its end")
            at += 3
            if place % self.lanes == self.lanes - 1:
                yield self._rows(place // self.lanes, rank)
                rank = np.zeros_like(rank)
        return at

    def _rows(self, number: int, rank: np.ndarray) -> np.ndarray:
        """Rank `number` of units, int32 [lanes, columns, addresses], to rows: at address t a unit multiplies inputs
        columns * (t // fold) and on, for the neuron that leaves as the (t % fold)th of its ring."""
        parts = rank.reshape(self.lanes, self.columns, self.slices // self.fold, self.fold)
        rows = parts.transpose(3, 0, 2, 1).reshape(-1, self.inputs)
        count = self.rows - number * len(rows)
        if rows[count:].any():
            raise ExtractionError(f"{self.name}: a neuron behind the last row has weights")
        largest = int(np.abs(rows).sum(axis=1, dtype=np.int64).max())
        if self.unit.limit * largest >> (self.acc_width - 1):
            raise ExtractionError(f"{self.name}: sums of a row do not go into {self.acc_width} bits")
        return rows[:count]


def serial_array(head: re.Match[str], shell: Instance, window: Window, prefab: Mapping[str, str]) -> SerialArray:
    """The array whose ports and declarations are in `head`, with its shell; `window` holds its text from its start.

    Raises ExtractionError where the text up to the first unit is not that of a whole and sound array.
    """
    name, kind, start = head["name"], SHELL.fullmatch(shell.module), shell.stop + 1
    while (first := _instance(window.data, start, "mac_0_0")) is None and window.grow():
        pass
    if kind is None or first is None:
        raise ExtractionError(f"{name}: its shell or its first unit is malformed")
    unit = read_prefab(name, "unit", first.module, prefab, read_mac)
    inputs, rows, lanes, slices, fold = (int(number) for number in kind.groups()[:5])
    banks = (int(head["out"]) + 1) // (lanes * unit.width)
    odds, width = tuple(map(int, kind[7].split("_"))), input_width(head, lanes, kind[6])
    fits = (fold, odds, (1 << (width - 1)) - 1) == (unit.fold, unit.odds, unit.limit)
    if not fits or len(unit.columns) * slices != inputs * fold or inputs % lanes:
        raise ExtractionError(f"{name}: its units do not fit its shell")
    style = NodeReader if unit.pins[0].startswith("n") else PlaneReader
    pins: PinReader = style(name, window.data, start, unit, slices, prefab)
    columns = len(unit.columns)
    array = SerialArray(name, inputs, rows, banks, lanes, slices, columns, fold, unit.width, unit, pins, window)
    _check_head(head, shell, array)
    return array


def _instance(data: bytes, start: int, name: str) -> Instance | None:
    return next((instance for instance in instances(data, start) if instance.name == name), None)


def _check_head(head: re.Match[str], shell: Instance, shape: SerialArray) -> None:
    """Declarations and the pins of the shell, all of which follow from the geometry."""
    lines = ", ".join(f"a{i}" for i in range(shape.slices))
    wires = ", ".join(f"m_{b}_{u}" for b in range(shape.banks) for u in range(shape.units))
    odds = [(f"x{odd}", shape.columns * shape.unit.bits(odd)) for odd in shape.unit.odds]
    local = f"wire core_clk, drain; wire [{shape.columns - 1}:0] xs; "
    local += " ".join(f"wire [{bits - 1}:0] {odd};" for odd, bits in odds)
    local += f" wire {lines}; wire [{shape.acc_width - 1}:0] {wires};"
    pins = f"{STREAM}, core_clk, drain, xs, {', '.join(odd for odd, _ in odds)}, {lines}"
    sound = one_line(head["body"]) == local and ", ".join(pin.decode() for pin in shell.pins) == pins
    if not sound or int(head["out"]) + 1 != shape.banks * shape.lanes * shape.acc_width:
        raise ExtractionError(f"{shape.name}: its declarations, ports or the pins of its shell are malformed")
