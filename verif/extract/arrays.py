"""Reads every weight back out of an array's connection file, fast, knowing nothing of the emitter.

The whole text must be what an array is made of: a changed character outside the slots is an error, a changed wire is an
error or a changed weight.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.neuron import NeuronCell, read_neuron
from verif.extract.prefab import one_line, read_prefab
from verif.extract.serial_array import read_serial_array
from verif.extract.slots import FAULTS, read_slots

__all__ = ["ArrayPorts", "read_array"]

HEAD = re.compile(
    r"(?://[^\n]*\n)*module (?P<name>\w+) \(\s*input  wire clk,\s*input  wire rst,\s*input  wire in_valid,\s*"
    r"output wire in_ready,\s*input  wire \[(?P<in>\d+):0\] in_data,\s*input  wire \[4:0\] in_scale,\s*"
    r"input  wire in_last,\s*output wire out_valid,\s*input  wire out_ready,\s*output wire \[(?P<out>\d+):0\] out_data,"
    r"\s*output wire \[4:0\] out_scale,\s*output wire out_last\s*\);\n(?P<body>.*?)(?P<shell>array_shell_\w+) shell \("
    r"(?P<pins>[^)]*)\);\n",
    re.DOTALL,
)
NEURON = re.compile(rb"    (\w+) neuron_(\d+)_(\d+) \(core_clk, clear, drain, shift, negate, ([^,]*), (\w+),")
ROW = re.compile(
    rb"    always @\(posedge core_clk\)\n        if \(!take\) (\w+) <= ([^;]*);\n        else (\w+) <= ([^;]*);\n"
)
TERM = re.compile(rb" ([+-]) (?:x(\d+)|\(x(\d+) <<< (\d+)\))")
STREAM = "clk, rst, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"


@dataclass(frozen=True)
class ArrayPorts:
    """What an array's text says of itself before its first row: widths, geometry of its shell, result wires.

    slices, fold: steps of a bit plane, and neurons of a cell; 1 in style `cell`.
    """

    name: str
    style: str
    inputs: int
    rows: int
    banks: int
    lanes: int
    acc_width: int
    slices: int = 1
    fold: int = 1

    @property
    def cells(self) -> int:
        """Cells of a bank: those of the last rank only as far as they have a first row."""
        full = (self.rows - 1) // (self.lanes * self.fold)
        return full * self.lanes + min(self.lanes, self.rows - full * self.lanes * self.fold)


def read_array(text: bytes | str, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array in ``text``: int32 [banks, rows, inputs].

    prefab: texts of prefabricated files by name, of which the neuron cell is read.
    Raises ExtractionError where the text is not a whole and sound array: wires that do not exist, slots too many or too
    few, two inputs of one slice in a line, rows missing or chained wrongly.
    """
    data = text.encode() if isinstance(text, str) else text
    start = data.find(b");\n", data.find(b" shell (")) + 3
    head = data[:start].decode()
    if (match := HEAD.fullmatch(head)) and match["shell"].startswith("array_shell_serial_"):
        return read_serial_array(match, data, start, prefab)
    ports = _read_head(head)
    read = _metal_cells if ports.style == "metal" else _cell_rows
    weights, end = read(data, start, ports, prefab)
    lanes = [_wire(ports, b, k) for b in range(ports.banks) for k in range(ports.lanes)]
    if b" ".join(data[end:].split()).decode() != f"assign out_data = {{{', '.join(lanes[::-1])}}}; endmodule":
        raise ExtractionError(f"{ports.name}: its end is malformed, or out_data is not the first neurons")
    return weights


def _read_head(text: str) -> ArrayPorts:
    """Ports, declarations and the shell instance, all of which follow from the geometry."""
    head = HEAD.fullmatch(text)
    shell = head and re.fullmatch(
        r"array_shell_(metal|cell)_i(\d+)_r(\d+)_l(\d+)_(?:t(\d+)_f(\d+)|a\d+)", head["shell"]
    )
    width = head and re.search(r"\[(\d+):0\] a_0_0\b", head["body"])
    if not (head and shell and width):
        raise ExtractionError("the text does not start like an array module")
    style, inputs, rows, lanes = shell[1], *(int(shell[i]) for i in (2, 3, 4))
    acc_width, out_width = int(width[1]) + 1, int(head["out"]) + 1
    turns = tuple(int(number or 1) for number in shell.groups()[4:])
    ports = ArrayPorts(head["name"], style, inputs, rows, out_width // (lanes * acc_width), lanes, acc_width, *turns)
    if out_width % (lanes * acc_width) or int(head["in"]) + 1 != 8 * lanes:
        raise ExtractionError(f"{ports.name}: the widths of in_data and out_data do not fit its shell")
    if style == "metal":
        wires = ", ".join(f"p{v}, n{v}" for v in range(inputs * ports.fold))
        local, kind = f"wire core_clk, clear, drain, shift, negate; wire {wires};", "wire"
        pins = f"{STREAM}, core_clk, clear, drain, shift, negate, {wires}"
    else:
        wires = ", ".join(f"x{i}" for i in range(inputs))
        local, kind = f"wire core_clk, take; wire signed [{acc_width - 1}:0] {wires};", "reg"
        pins = f"{STREAM}, core_clk, take, {wires}"
    sums = ", ".join(f"a_{b}_{u}" for b in range(ports.banks) for u in range(ports.cells))
    if (
        one_line(head["body"]) != f"{local} {kind} [{acc_width - 1}:0] {sums};"
        or " ".join(head["pins"].split()) != pins
    ):
        raise ExtractionError(f"{ports.name}: its declarations or the pins of its shell are malformed")
    return ports


def _wire(ports: ArrayPorts, bank: int, cell: int) -> str:
    """Result wire of a cell (`cell` style: of a row), or zero behind the last."""
    return f"a_{bank}_{cell}" if cell < ports.cells else f"{ports.acc_width}'d0"


def _match(pattern: re.Pattern, data: bytes, start: int, ports: ArrayPorts, bank: int, row: int) -> re.Match:
    match = pattern.match(data, start)
    if match is None:
        raise ExtractionError(f"{ports.name}: row or cell {row} of bank {bank} is missing or malformed")
    return match


def _metal_cells(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights, and where the neuron cells end."""
    code, cells, end = np.frombuffer(data, dtype=np.uint8), {}, start
    weights = np.zeros((ports.banks, ports.rows, ports.inputs), dtype=np.int32)
    slice_of = np.arange(ports.inputs * ports.fold, dtype=np.int32) % ports.slices
    ring = np.zeros((ports.inputs, ports.fold), dtype=np.int32)
    for bank, place in np.ndindex(ports.banks, ports.cells):
        match = _match(NEURON, data, end, ports, bank, place)
        module, *numbers, chain, acc = match.groups()
        want = (bank, place, _wire(ports, bank, place + ports.lanes), _wire(ports, bank, place))
        if (*map(int, numbers), chain.decode(), acc.decode()) != want:
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank} is chained wrongly")
        if module not in cells:
            cells[module] = _neuron_cell(ports, module.decode(), prefab)
        cell = cells[module]
        end, fault = read_slots(code, match.end(), cell.values, slice_of, ports.slices, cell.most, ring)
        if fault or data[end : end + 2] != b";\n":
            what = FAULTS[fault].format(len(slice_of)) if fault else "its end is malformed"
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank}: {what}")
        end += 2
        rank, lane = divmod(place, ports.lanes)
        rows = lane + ports.lanes * (ports.fold * rank + np.arange(ports.fold))
        if ring[:, rows >= ports.rows].any():
            raise ExtractionError(f"{ports.name}: a neuron behind the last row has weights")
        rows = rows[rows < ports.rows]
        weights[bank, rows] = ring[:, : len(rows)].T
    return weights, end


def _neuron_cell(ports: ArrayPorts, module: str, prefab: Mapping[str, str]) -> NeuronCell:
    """A neuron cell of an array, of whose turns, steps and width it must be."""
    cell = read_prefab(ports.name, "neuron cell", module, prefab, read_neuron)
    if (cell.slices, cell.fold, cell.acc_width) != (ports.slices, ports.fold, ports.acc_width):
        raise ExtractionError(f"{ports.name}: its neuron cell {module} does not fit its shell")
    return cell


def _cell_rows(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights, and where the rows of shift-adds end."""
    weights = np.zeros((ports.banks, ports.rows, ports.inputs), dtype=np.int32)
    end = start
    zero = f"{ports.acc_width}'sd0".encode()
    for bank, row in np.ndindex(ports.banks, ports.rows):
        match = _match(ROW, data, end, ports, bank, row)
        acc, chain, again, total = match.groups()
        want = _wire(ports, bank, row).encode()
        if (acc, again, chain.decode()) != (want, want, _wire(ports, bank, row + ports.lanes)):
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is chained wrongly")
        terms = TERM.findall(total)
        if not total.startswith(zero) or TERM.sub(b"", total[len(zero) :]):
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} sums something unknown")
        for sign, plain, shifted, shift in terms:
            if int(plain or shifted) >= ports.inputs:
                raise ExtractionError(f"{ports.name}: row {row} of bank {bank} sums an input that does not exist")
            weights[bank, row, int(plain or shifted)] += (1 if sign == b"+" else -1) << int(shift or 0)
        end = match.end()
    return weights, end
