"""Reads every weight back out of an array's connection file, fast, knowing nothing of the emitter.

The whole text must be what an array is made of: a changed character outside the slots is an error, a changed wire is an
error or a changed weight.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.neuron import NeuronCell, read_neuron
from verif.extract.rom_array import read_rom_array

__all__ = ["ArrayPorts", "read_array"]

HEAD = re.compile(
    r"(?://[^\n]*\n)*module (?P<name>\w+) \(\s*input  wire clk,\s*input  wire rst,\s*input  wire in_valid,\s*"
    r"output wire in_ready,\s*input  wire \[(?P<in>\d+):0\] in_data,\s*input  wire \[4:0\] in_scale,\s*"
    r"input  wire in_last,\s*output wire out_valid,\s*input  wire out_ready,\s*output wire \[(?P<out>\d+):0\] out_data,"
    r"\s*output wire \[4:0\] out_scale,\s*output wire out_last\s*\);\n(?P<body>.*?)(?P<shell>array_shell_\w+) shell \("
    r"(?P<pins>[^)]*)\);\n",
    re.DOTALL,
)
NEURON = re.compile(rb"    (\w+) neuron_(\d+)_(\d+) \(core_clk, rst, drain, shift, negate, ([^,]*), (\w+),([^)]*)\);\n")
ROW = re.compile(
    rb"    always @\(posedge core_clk\)\n        if \(!take\) (\w+) <= ([^;]*);\n        else (\w+) <= ([^;]*);\n"
)
TERM = re.compile(rb" ([+-]) (?:x(\d+)|\(x(\d+) <<< (\d+)\))")
STREAM = "clk, rst, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"
SLOTS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class ArrayPorts:
    """What an array's text says of itself before its first row: widths, geometry of its shell, result wires."""

    name: str
    style: str
    inputs: int
    rows: int
    banks: int
    lanes: int
    acc_width: int


def read_array(text: bytes | str, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the array in ``text``: int32 [banks, rows, inputs].

    prefab: texts of prefabricated files by name, of which the neuron cell is read.
    Raises ExtractionError where the text is not a whole and sound array: wires that do not exist, slots too many or too
    few, two inputs of one slice in a line, rows missing or chained wrongly.
    """
    data = text.encode() if isinstance(text, str) else text
    start = data.find(b");\n", data.find(b" shell (")) + 3
    head = data[:start].decode()
    if (match := HEAD.fullmatch(head)) and match["shell"].startswith("array_shell_rom_"):
        return read_rom_array(match, data, start, prefab)
    ports = _read_head(head)
    read = _metal_rows if ports.style == "metal" else _cell_rows
    weights, end = read(data, start, ports, prefab)
    lanes = [_wire(ports, b, k) for b in range(ports.banks) for k in range(ports.lanes)]
    if b" ".join(data[end:].split()).decode() != f"assign out_data = {{{', '.join(lanes[::-1])}}}; endmodule":
        raise ExtractionError(f"{ports.name}: its end is malformed, or out_data is not the first neurons")
    return weights


def _read_head(text: str) -> ArrayPorts:
    """Ports, declarations and the shell instance, all of which follow from the geometry."""
    head = HEAD.fullmatch(text)
    shell = head and re.fullmatch(r"array_shell_(metal|cell)_i(\d+)_r(\d+)_l(\d+)_[ta]\d+", head["shell"])
    width = head and re.search(r"\[(\d+):0\] a_0_0\b", head["body"])
    if not (head and shell and width):
        raise ExtractionError("the text does not start like an array module")
    style, inputs, rows, lanes = shell[1], *(int(shell[i]) for i in (2, 3, 4))
    acc_width, out_width = int(width[1]) + 1, int(head["out"]) + 1
    ports = ArrayPorts(head["name"], style, inputs, rows, out_width // (lanes * acc_width), lanes, acc_width)
    if out_width % (lanes * acc_width) or int(head["in"]) + 1 != 8 * lanes:
        raise ExtractionError(f"{ports.name}: the widths of in_data and out_data do not fit its shell")
    if style == "metal":
        wires = ", ".join(f"p{i}, n{i}" for i in range(inputs))
        local, kind = f"wire core_clk, drain, shift, negate; wire {wires};", "wire"
        pins = f"{STREAM}, core_clk, drain, shift, negate, {wires}"
    else:
        wires = ", ".join(f"x{i}" for i in range(inputs))
        local, kind = f"wire core_clk, take; wire signed [{acc_width - 1}:0] {wires};", "reg"
        pins = f"{STREAM}, core_clk, take, {wires}"
    sums = ", ".join(f"a_{b}_{j}" for b in range(ports.banks) for j in range(rows))
    body = re.sub(r"//[^\n]*|/\*.*?\*/", " ", head["body"])
    if (
        " ".join(body.split()) != f"{local} {kind} [{acc_width - 1}:0] {sums};"
        or " ".join(head["pins"].split()) != pins
    ):
        raise ExtractionError(f"{ports.name}: its declarations or the pins of its shell are malformed")
    return ports


def _wire(ports: ArrayPorts, bank: int, row: int) -> str:
    """Result wire of a row, or zero behind the last."""
    return f"a_{bank}_{row}" if row < ports.rows else f"{ports.acc_width}'d0"


def _in_order(data: bytes, pattern: re.Pattern, start: int, ports: ArrayPorts) -> Iterator[tuple[int, int, re.Match]]:
    """Matches of ``pattern`` for every bank and row, one after the other without a gap."""
    for bank in range(ports.banks):
        for row in range(ports.rows):
            match = pattern.match(data, start)
            if match is None:
                raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is missing or malformed")
            start = match.end()
            yield bank, row, match


def _metal_rows(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights, and where the neurons end."""
    cell, end, bodies = None, start, []
    weights = np.zeros((ports.banks * ports.rows, ports.inputs), dtype=np.int32)
    done = 0
    for bank, row, match in _in_order(data, NEURON, start, ports):
        module, *numbers, chain, acc, slots = match.groups()
        want = (bank, row, _wire(ports, bank, row + ports.lanes), _wire(ports, bank, row))
        if (*map(int, numbers), chain.decode(), acc.decode()) != want:
            raise ExtractionError(f"{ports.name}: row {row} of bank {bank} is chained wrongly")
        if cell is None:
            cell = _cell(module.decode(), ports, prefab)
        if module.decode() != cell.name:
            raise ExtractionError(f"{ports.name}: its rows use different neuron cells")
        bodies.append(slots)
        end = match.end()
        if len(bodies) * len(cell.values) > SLOTS_AT_ONCE:
            _add_rows(weights[done : done + len(bodies)], bodies, cell, ports)
            done, bodies = done + len(bodies), []
    if bodies:
        _add_rows(weights[done:], bodies, cell, ports)
    return weights.reshape(ports.banks, ports.rows, ports.inputs), end


def _cell(module: str, ports: ArrayPorts, prefab: Mapping[str, str]) -> NeuronCell:
    if f"{module}.v" not in prefab:
        raise ExtractionError(f"{ports.name}: its neuron cell {module} is not among the prefabricated files")
    cell = read_neuron(prefab[f"{module}.v"])
    if cell.name != module:
        raise ExtractionError(f"{module}.v holds {cell.name}")
    return cell


def _add_rows(weights: np.ndarray, bodies: list[bytes], cell: NeuronCell, ports: ArrayPorts) -> None:
    """Weights [rows, inputs] from the slot texts of as many neurons."""
    slots = len(cell.values)
    if any(body.count(b",") != slots - 1 for body in bodies):
        raise ExtractionError(f"{ports.name}: a neuron does not have {slots} slots")
    sign, index = _wires(b",".join(bodies), ports)
    sign, index = sign.reshape(-1, slots), index.reshape(-1, slots)
    row, slot = np.nonzero(sign)
    wired = index[row, slot]
    slices = int(np.bincount(cell.lines).max())
    if (wired % slices != slot % slices).any():
        raise ExtractionError(f"{ports.name}: a wire is in a slot of another slice, where it would meet others")
    flat = np.bincount(row * ports.inputs + wired, weights=sign[row, slot] * cell.values[slot], minlength=weights.size)
    weights[:] = np.rint(flat).astype(np.int64).reshape(weights.shape)


def _wires(text: bytes, ports: ArrayPorts) -> tuple[np.ndarray, np.ndarray]:
    """Comma-separated slots to signs (p 1, n -1, none 0) and input numbers."""
    code = np.frombuffer(text.translate(None, b" \n") + b",", dtype=np.uint8)
    ends = np.flatnonzero(code == ord(","))
    starts = np.concatenate([[0], ends[:-1] + 1])
    length, first = ends - starts, code[starts]
    sign = (first == ord("p")).astype(np.int8) - (first == ord("n"))
    tie = np.frombuffer(b"1'b0", dtype=np.uint8)
    ties = starts[sign == 0]
    sound = (length[sign == 0] == 4).all() and (code[ties[:, None] + np.arange(4)] == tie).all()
    index = np.zeros(len(starts), dtype=np.int64)
    wired = sign != 0
    for place in range(1, int(length.max(initial=1))):
        here = np.flatnonzero(wired & (length > place))
        digit = code[starts[here] + place] - np.int64(ord("0"))
        sound &= bool(((digit >= 0) & (digit <= 9)).all())
        sound &= place > 1 or bool(((digit > 0) | (length[here] == 2)).all())
        index[here] = index[here] * 10 + digit
    if not sound or (length[wired] < 2).any() or (index >= ports.inputs).any():
        raise ExtractionError(f"{ports.name}: a slot holds neither a wire of its {ports.inputs} inputs nor 1'b0")
    return sign, index


def _cell_rows(data: bytes, start: int, ports: ArrayPorts, prefab: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Weights, and where the rows of shift-adds end."""
    weights = np.zeros((ports.banks, ports.rows, ports.inputs), dtype=np.int32)
    end = start
    zero = f"{ports.acc_width}'sd0".encode()
    for bank, row, match in _in_order(data, ROW, start, ports):
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
