"""What an array's text says of itself before its first cell: its ports, declarations and the instance of its shell."""

import re
from dataclasses import dataclass

from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import Instance

__all__ = ["HEAD", "STREAM", "ArrayPorts", "input_width", "read_ports"]

HEAD = re.compile(
    r"(?P<comments>(?://[^\n]*\n)*)module (?P<name>\w+) \(\s*"
    r"input  wire clk,\s*input  wire rst,\s*input  wire test_enable,\s*"
    r"input  wire in_valid,\s*output wire in_ready,\s*input  wire \[(?P<in>\d{1,9}):0\] in_data,\s*"
    r"input  wire \[(?P<scale>\d{1,9}):0\] in_scale,\s*"
    r"input  wire in_last,\s*output wire out_valid,\s*input  wire out_ready,\s*"
    r"output wire \[(?P<out>\d{1,9}):0\] out_data,\s*output wire \[(?P=scale):0\] out_scale,\s*"
    r"output wire out_last\s*\);\n"
    r"(?P<body>.*)",
    re.DOTALL | re.ASCII,
)
SHELL = re.compile(
    r"(?:\w+_)?array_shell_(metal|cell)_i(\d{1,9})_r(\d{1,9})_l(\d{1,9})_(?:t(\d{1,9})_f(\d{1,9})|a\d{1,9})_(b\d{1,9}e\d{1,9})"
)
STREAM = (
    "clk, rst, test_enable, in_valid, in_ready, in_data, in_scale, in_last, out_valid, out_ready, out_scale, out_last"
)


@dataclass(frozen=True)
class ArrayPorts:
    """What an array's text says of itself before its first row: widths, geometry of its shell, result wires.

    width: bits of an input. slices, fold: steps of a bit plane, and neurons of a cell; 1 in style `cell`.
    """

    name: str
    style: str
    inputs: int
    rows: int
    banks: int
    lanes: int
    acc_width: int
    width: int
    slices: int = 1
    fold: int = 1

    @property
    def cells(self) -> int:
        """Cells of a bank: those of the last rank only as far as they have a first row."""
        full = (self.rows - 1) // (self.lanes * self.fold)
        return full * self.lanes + min(self.lanes, self.rows - full * self.lanes * self.fold)

    def wire(self, bank: int, cell: int) -> str:
        """Result wire of a cell (style `cell`: of a row), or zero behind the last."""
        return f"a_{bank}_{cell}" if cell < self.cells else f"{self.acc_width}'d0"


def input_width(head: re.Match[str], lanes: int, said: str) -> int:
    """Bits of an input, by the port that `lanes` of them enter at; the shell's name says them and its scale's: `b8e5`.

    Raises ExtractionError where the two do not agree.
    """
    width, rest = divmod(int(head["in"]) + 1, lanes)
    if rest or said != f"b{width}e{int(head['scale']) + 1}":
        raise ExtractionError(f"{head['name']}: the widths of in_data and in_scale do not fit its shell")
    return width


def read_ports(head: re.Match[str], shell: Instance) -> ArrayPorts:
    """Ports, declarations and the shell instance, all of which follow from the geometry.

    Raises ExtractionError where they do not.
    """
    shape = SHELL.fullmatch(shell.module)
    sums_of = re.search(r"\[(\d{1,9}):0\] a_0_0\b", head["body"])
    if shape is None or sums_of is None:
        raise ExtractionError("the text does not start like an array module")
    style, inputs, rows, lanes = shape[1], *(int(shape[i]) for i in (2, 3, 4))
    acc_width, out_width = int(sums_of[1]) + 1, int(head["out"]) + 1
    turns, width = tuple(int(number or 1) for number in shape.groups()[4:6]), input_width(head, lanes, shape[7])
    banks = out_width // (lanes * acc_width)
    ports = ArrayPorts(head["name"], style, inputs, rows, banks, lanes, acc_width, width, *turns)
    if out_width % (lanes * acc_width):
        raise ExtractionError(f"{ports.name}: the width of out_data does not fit its shell")
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
