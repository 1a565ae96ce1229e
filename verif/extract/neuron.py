"""Reads a prefabricated neuron cell: what one wire in each of its slots adds to the sum."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["CONTROL", "NeuronCell", "read_neuron"]

CONTROL = ("clk", "clear", "drain", "shift", "negate", "chain", "acc")
"""Ports of a neuron cell before its slots."""

CELL = re.compile(
    r"module (?P<name>\w+) \( input wire clk, input wire clear, input wire drain, input wire shift, input wire negate, "
    r"input wire \[(?P<top>\d+):0\] chain, output wire \[(?P=top):0\] acc, (?P<ports>[^)]*) \); "
    r"reg \[(?P=top):0\] (?P<ring>r0(?:, r\d+)*); assign acc = (?P<oldest>r\d+); "
    r"always @\(posedge clk\) begin if \(clear\) r0 <= (?P<width>\d+)'d0; else if \(drain\) r0 <= chain; else r0 <= \{ "
    r"\(shift \? \{1'b0, acc\[(?P=top):(?P<planes>\d+)\]\} : acc\[(?P=top):(?P<rest>\d+)\]\) \+ \((?P<sum>.*) "
    r"\^ \{(?P<high>\d+)\{negate\}\}\) \+ negate, shift \? acc\[(?P=rest):1\] : acc\[(?P<low>\d+):0\] \};"
    r"(?P<moves>[^()]*) end endmodule"
)
TOKEN = re.compile(r"\s*(\d+'d\d+|s\d+|[()+|*])")


@dataclass(frozen=True)
class NeuronCell:
    """name: module; values: int64 [slots], a wire's weight by slot; lines: int64 [slots], its line.

    fold: neurons of its ring; slices: slots of a line; planes: bits of an input; acc_width: bits of a result.
    """

    name: str
    values: np.ndarray
    lines: np.ndarray
    fold: int
    slices: int
    planes: int
    acc_width: int

    @property
    def most(self) -> int:
        """What a neuron's wires may add up to in a bit plane: twice that is 2^(acc_width - planes + 1) at most."""
        return 1 << (self.acc_width - self.planes)


@lru_cache(maxsize=16)
def read_neuron(text: str) -> NeuronCell:
    """The neuron cell in `text`. Raises ExtractionError when it does anything else than a neuron cell should."""
    code = one_line(text)
    cell = CELL.fullmatch(code)
    if cell is None:
        raise ExtractionError(f"not a neuron cell: {code[:60]}")
    width, slots = int(cell["top"]) + 1, len(cell["ports"].split(","))
    ports = ", ".join(f"s{i}" for i in range(slots))
    if cell["ports"].replace("input wire ", "") != ports or int(cell["width"]) != width:
        raise ExtractionError(f"{cell['name']}: its ports are not s0 to s{slots - 1}")
    planes = int(cell["planes"])
    if (int(cell["rest"]), int(cell["low"])) != (planes - 1, planes - 2):
        raise ExtractionError(f"{cell['name']}: a plane does not move its sum by one bit")
    if int(cell["high"]) != width - planes + 1:
        raise ExtractionError(f"{cell['name']}: it negates {cell['high']} bits of {width - planes + 1}")
    fold = cell["ring"].count("r")
    ring, moves = (f"r{f}" for f in range(fold)), (f" r{f} <= r{f - 1};" for f in range(1, fold))
    if (cell["ring"], cell["oldest"], cell["moves"]) != (", ".join(ring), f"r{fold - 1}", "".join(moves)):
        raise ExtractionError(f"{cell['name']}: its ring does not move from r0 to r{fold - 1}")
    terms = _Sum(cell["sum"]).terms()
    if [slot for _, line in terms for slot in line] != list(range(slots)):
        raise ExtractionError(f"{cell['name']}: its slots are not counted once each, in order")
    slices = len(terms[0][1])
    if any(len(line) != slices for _, line in terms) or slices % fold:
        raise ExtractionError(f"{cell['name']}: its lines do not have the same slots for every neuron of {fold}")
    values, lines = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int64)
    for number, (value, line) in enumerate(terms):
        values[line], lines[line] = value, number
    return NeuronCell(cell["name"], values, lines, fold, slices, planes, width)


class _Sum:
    """Recursive descent over `sum = product {+ product}`, `product = [constant *] (sum) | slot {| slot}`."""

    def __init__(self, text: str) -> None:
        self.tokens = TOKEN.findall(text)
        if "".join(self.tokens) != text.replace(" ", ""):
            raise ExtractionError(f"a neuron cell sums something unknown: {text[:60]}")
        self.at = 0

    def terms(self) -> list[tuple[int, list[int]]]:
        """Lines of the whole sum, each with its value: slots that are ORed."""
        terms = self._sum()
        if self.at != len(self.tokens):
            raise ExtractionError("a neuron cell's sum ends early")
        return terms

    def _next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self, token: str) -> bool:
        taken = self._next() == token
        self.at += taken
        return taken

    def _sum(self) -> list[tuple[int, list[int]]]:
        terms = self._product()
        while self._take("+"):
            terms += self._product()
        return terms

    def _product(self) -> list[tuple[int, list[int]]]:
        factor = 1
        if "'d" in self._next():
            bits, factor = (int(part) for part in self._next().split("'d"))
            self.at += 1
            if factor >> bits or not self._take("*"):
                raise ExtractionError("a neuron cell's constant is malformed")
        if not self._take("("):
            return [(factor, [self._slot()])]
        inner = [(1, self._line())] if self._is_line() else self._sum()
        if not self._take(")"):
            raise ExtractionError("a neuron cell's sum has unbalanced parentheses")
        return [(factor * value, line) for value, line in inner]

    def _is_line(self) -> bool:
        return self._next().startswith("s") and self.tokens[self.at + 1] == "|"

    def _line(self) -> list[int]:
        slots = [self._slot()]
        while self._take("|"):
            slots.append(self._slot())
        return slots

    def _slot(self) -> int:
        if not self._next().startswith("s"):
            raise ExtractionError(f"a neuron cell counts {self._next()!r}")
        self.at += 1
        return int(self.tokens[self.at - 1][1:])
