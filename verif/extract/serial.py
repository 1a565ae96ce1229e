"""Reads every weight back out of the connection file of a serial array, knowing nothing of the emitter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.instances import Instance, instance_at, instances
from verif.extract.mac import LARGEST, MacUnit, read_mac
from verif.extract.ports import STREAM
from verif.extract.prefab import one_line, read_prefab
from verif.extract.rom import NodeReader
from verif.extract.shared import PlaneReader

__all__ = ["read_serial"]

SHELL = re.compile(r"array_shell_serial_i(\d+)_r(\d+)_l(\d+)_t(\d+)_f(\d+)_x(\d+(?:_\d+)*)")


class PinReader(Protocol):
    """Reads the pins that tell a unit its weights."""

    start: int
    """Where the first unit begins."""

    def read(self, at: int, weights: np.ndarray) -> int:
        """Weights from the pins from `at` on, int32 [columns, addresses]; where the closing bracket is.

        Raises ExtractionError where they are malformed.
        """


@dataclass(frozen=True)
class _Shape:
    """What the shell's name and the ports say of an array, and the unit's text of the width of its sums."""

    name: str
    inputs: int
    rows: int
    banks: int
    lanes: int
    slices: int
    columns: int
    fold: int
    width: int

    @property
    def units(self) -> int:
        """Units of a bank."""
        return self.lanes * -(-self.rows // (self.lanes * self.fold))


def read_serial(head: re.Match[str], shell: Instance, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array whose ports and declarations are in `head`, and its shell: int32 [banks, rows, inputs].

    Raises ExtractionError where the text is not a whole and sound array.
    """
    name, kind, data, start = head["name"], SHELL.fullmatch(shell.module), shell.text, shell.stop + 1
    first = next((instance for instance in instances(data, start) if instance.name == "mac_0_0"), None)
    if kind is None or first is None:
        raise ExtractionError(f"{name}: its shell or its first unit is malformed")
    unit = read_prefab(name, "unit", first.module, prefab, read_mac)
    inputs, rows, lanes, slices, fold = (int(number) for number in kind.groups()[:5])
    banks = (int(head["out"]) + 1) // (lanes * unit.width)
    shape = _Shape(name, inputs, rows, banks, lanes, slices, len(unit.columns), fold, unit.width)
    odds = tuple(map(int, kind[6].split("_")))
    if (fold, odds) != (unit.fold, unit.odds) or shape.columns * slices != inputs * fold or inputs % lanes:
        raise ExtractionError(f"{name}: its units do not fit its shell")
    _check_head(head, shell, unit, shape)
    style = NodeReader if unit.pins[0].startswith("n") else PlaneReader
    reader: PinReader = style(name, data, start, unit, slices, prefab)
    weights, end = _units(data, reader, unit, shape)
    ends = [f"m_{b}_{lane}" for b in range(banks) for lane in range(lanes)]
    if b" ".join(data[end:].split()).decode() != f"assign out_data = {{{', '.join(ends[::-1])}}}; endmodule":
        raise ExtractionError(f"{name}: its end is malformed, or out_data is not the first units")
    return _rows(weights, shape)


def _check_head(head: re.Match[str], shell: Instance, unit: MacUnit, shape: _Shape) -> None:
    """Declarations and the pins of the shell, all of which follow from the geometry."""
    lines = ", ".join(f"a{i}" for i in range(shape.slices))
    wires = ", ".join(f"m_{b}_{u}" for b in range(shape.banks) for u in range(shape.units))
    odds = [(f"x{odd}", shape.columns * (LARGEST * odd).bit_length()) for odd in unit.odds]
    local = f"wire core_clk, drain; wire [{shape.columns - 1}:0] xs; "
    local += " ".join(f"wire [{bits - 1}:0] {odd};" for odd, bits in odds)
    local += f" wire {lines}; wire [{shape.width - 1}:0] {wires};"
    pins = f"{STREAM}, core_clk, drain, xs, {', '.join(odd for odd, _ in odds)}, {lines}"
    sound = one_line(head["body"]) == local and ", ".join(pin.decode() for pin in shell.pins) == pins
    widths = (shape.banks * shape.lanes * shape.width, 8 * shape.lanes)
    if not sound or (int(head["out"]) + 1, int(head["in"]) + 1) != widths:
        raise ExtractionError(f"{shape.name}: its declarations, ports or the pins of its shell are malformed")


def _units(data: bytes, reader: PinReader, unit: MacUnit, shape: _Shape) -> tuple[np.ndarray, int]:
    """Weights of all units, int32 [units, columns, addresses], and where the units end."""
    weights = np.zeros((shape.banks * shape.units, shape.columns, shape.slices), dtype=np.int32)
    at, shared = reader.start, {"clk": "core_clk"} | {port: port for port in unit.control[1:]}
    for number in range(len(weights)):
        bank, place = divmod(number, shape.units)
        behind = place + shape.lanes
        chain = f"m_{bank}_{behind}" if behind < shape.units else f"{shape.width}'d0"
        instance = instance_at(data, at)
        if instance is None or (instance.module, instance.name) != (unit.name, f"mac_{bank}_{place}"):
            raise ExtractionError(f"{shape.name}: unit {place} of bank {bank} is missing")
        pins, at = instance.leading(unit.control)
        if pins != shared | {"chain": chain, "acc": f"m_{bank}_{place}"}:
            raise ExtractionError(f"{shape.name}: unit {place} of bank {bank} is connected wrongly")
        at = reader.read(at, weights[number])
        if data[at : at + 3] != b");\n":
            raise ExtractionError(f"{shape.name}: unit {place} of bank {bank} is malformed at its end")
        at += 3
    return weights, at


def _rows(weights: np.ndarray, shape: _Shape) -> np.ndarray:
    """Units [units, columns, addresses] to rows: at address t a unit multiplies inputs columns * (t // fold) and on,
    for the neuron that leaves as the (t % fold)th of its ring."""
    ranks = shape.units // shape.lanes
    parts = weights.reshape(shape.banks, ranks, shape.lanes, shape.columns, shape.slices // shape.fold, shape.fold)
    rows = parts.transpose(0, 1, 5, 2, 4, 3).reshape(shape.banks, ranks * shape.fold * shape.lanes, shape.inputs)
    if rows[:, shape.rows :].any():
        raise ExtractionError(f"{shape.name}: a neuron behind the last row has weights")
    rows = np.ascontiguousarray(rows[:, : shape.rows])
    largest = max(int(np.abs(row).sum(dtype=np.int64)) for bank in rows for row in bank)
    if LARGEST * largest >> (shape.width - 1):
        raise ExtractionError(f"{shape.name}: sums of a row do not go into {shape.width} bits")
    return rows
