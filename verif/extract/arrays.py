"""Reads every weight back out of an array's connection file, fast, knowing nothing of the emitter.

The whole text must be what an array is made of: a changed character outside the slots is an error, a changed wire is an
error or a changed weight.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.instances import Instance, instance_at, instances
from verif.extract.neuron import CONTROL, NeuronCell, read_neuron
from verif.extract.prefab import one_line, read_prefab
from verif.extract.serial_array import read_serial_array
from verif.extract.slots import FAULTS, read_slots

__all__ = ["ArrayPorts", "read_array"]

HEAD = re.compile(
    r"(?://[^\n]*\n)*module (?P<name>\w+) \(\s*input  wire clk,\s*input  wire rst,\s*input  wire in_valid,\s*"
    r"output wire in_ready,\s*input  wire \[(?P<in>\d+):0\] in_data,\s*input  wire \[4:0\] in_scale,\s*"
    r"input  wire in_last,\s*output wire out_valid,\s*input  wire out_ready,\s*output wire \[(?P<out>\d+):0\] out_data,"
    r"\s*output wire \[4:0\] out_scale,\s*output wire out_last\s*\);\n(?P<body>.*)",
    re.DOTALL,
)
ROW = re.compile(
    rb"    always @\(posedge core_clk\)\n        if \(!take\) (\w+) <= ([^;]*);\n        else (\w+) <= ([^;]*);\n"
)
CONTROLLED = {"clk": "core_clk"} | {port: port for port in ("clear", "drain", "shift", "negate")}
SHELL = re.compile(r"array_shell_(metal|cell)_i(\d+)_r(\d+)_l(\d+)_(?:t(\d+)_f(\d+)|a\d+)")
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
    """Weights of the array in `text`: int32 [banks, rows, inputs].

    prefab: texts of prefabricated files by name, of which the neuron cell is read.
    Raises ExtractionError where the text is not a whole and sound array: wires that do not exist, slots too many or too
    few, two inputs of one slice in a line, rows missing or chained wrongly.
    """
    data = text.encode() if isinstance(text, str) else text
    shell = next(instances(data), None)
    head = HEAD.fullmatch(data[: shell.begin].decode()) if shell else None
    if shell is None or head is None or shell.name != "shell" or data[shell.stop : shell.stop + 1] != b"\n":
        raise ExtractionError("the text does not start like an array module")
    if shell.module.startswith("array_shell_serial_"):
        return read_serial_array(head, shell, prefab)
    ports = _read_head(head, shell)
    read = _metal_cells if ports.style == "metal" else _cell_rows
    weights, end = read(data, shell.stop + 1, ports, prefab)
    lanes = [_wire(ports, b, k) for b in range(ports.banks) for k in range(ports.lanes)]
    if b" ".join(data[end:].split()).decode() != f"assign out_data = {{{', '.join(lanes[::-1])}}}; endmodule":
        raise ExtractionError(f"{ports.name}: its end is malformed, or out_data is not the first neurons")
    return weights


def _read_head(head: re.Match[str], shell: Instance) -> ArrayPorts:
    """Ports, declarations and the shell instance, all of which follow from the geometry."""
    shape = SHELL.fullmatch(shell.module)
    width = re.search(r"\[(\d+):0\] a_0_0\b", head["body"])
    if shape is None or width is None:
        raise ExtractionError("the text does not start like an array module")
    style, inputs, rows, lanes = shape[1], *(int(shape[i]) for i in (2, 3, 4))
    acc_width, out_width = int(width[1]) + 1, int(head["out"]) + 1
    turns = tuple(int(number or 1) for number in shape.groups()[4:])
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
        or ", ".join(pin.decode() for pin in shell.pins) != pins
    ):
        raise ExtractionError(f"{ports.name}: its declarations or the pins of its shell are malformed")
    return ports


def _wire(ports: ArrayPorts, bank: int, cell: int) -> str:
    """Result wire of a cell (`cell` style: of a row), or zero behind the last."""
    return f"a_{bank}_{cell}" if cell < ports.cells else f"{ports.acc_width}'d0"


def _metal_cells(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights, and where the neuron cells end."""
    code, cells, end = np.frombuffer(data, dtype=np.uint8), {}, start
    weights = np.zeros((ports.banks, ports.rows, ports.inputs), dtype=np.int32)
    slice_of = np.arange(ports.inputs * ports.fold, dtype=np.int32) % ports.slices
    ring = np.zeros((ports.inputs, ports.fold), dtype=np.int32)
    for bank, place in np.ndindex(ports.banks, ports.cells):
        neuron = instance_at(data, end)
        if neuron is None or neuron.name != f"neuron_{bank}_{place}":
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank} is missing or malformed")
        pins, slots = neuron.leading(CONTROL)
        if pins != CONTROLLED | {"chain": _wire(ports, bank, place + ports.lanes), "acc": _wire(ports, bank, place)}:
            raise ExtractionError(f"{ports.name}: cell {place} of bank {bank} is chained wrongly")
        if neuron.module not in cells:
            cells[neuron.module] = _neuron_cell(ports, neuron.module, prefab)
        cell = cells[neuron.module]
        end, fault = read_slots(code, slots, cell.values, slice_of, ports.slices, cell.most, ring)
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
        match = ROW.match(data, end)
        if match is None:
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is missing or malformed")
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
