"""Reads a multiply-accumulate unit of the rom style: which weights its columns take when a node is 1."""

import re
from dataclasses import dataclass

import numpy as np

from verif.extract.errors import ExtractionError
from verif.extract.prefab import one_line

__all__ = ["RomUnit", "read_rom_unit"]

HEAD = re.compile(
    r"module (?P<name>\w+) \( input wire clk, input wire drain, input wire \[(?P<top>\d+):0\] chain, "
    r"output wire \[(?P=top):0\] acc, input wire \[(?P<columns>\d+):0\] xs, (?P<odds>(?:input wire \[\d+:0\] x\d+, )+)"
    r"(?P<nodes>[^)]*) \); (?P<body>.*); end endmodule"
)
PLANE = re.compile(r"wire (\w+) = (\w+(?: \| \w+)*)")


@dataclass(frozen=True)
class RomUnit:
    """name: module; fold: neurons in its ring; odds: multiples of an input's magnitude that it is given.

    values: int64 [nodes, columns], the weights that a node gives its columns; groups: int64 [nodes], the columns of two
    groups being apart.
    """

    name: str
    fold: int
    odds: tuple[int, ...]
    values: np.ndarray
    groups: np.ndarray


def read_rom_unit(text: str) -> RomUnit:
    """The unit in ``text``. Raises ExtractionError when it does anything else than such a unit should."""
    code = one_line(text)
    head = HEAD.fullmatch(code)
    if head is None:
        raise ExtractionError(f"not a unit of the rom style: {code[:60]}")
    columns, width = int(head["columns"]) + 1, int(head["top"]) + 1
    odds = tuple(map(int, re.findall(r"x(\d+)", head["odds"])))
    nodes = re.findall(r"n\d+_\d+", head["nodes"])
    sound = head["nodes"].replace("input wire ", "") == ", ".join(nodes) and len(set(nodes)) == len(nodes)
    widths = [(127 * odd).bit_length() for odd in odds]
    ports = "".join(f"input wire [{columns * w - 1}:0] x{o}, " for o, w in zip(odds, widths, strict=True))
    if not sound or head["odds"] != ports:
        raise ExtractionError(f"{head['name']}: its ports are malformed")
    unit = _Body(head["name"], head["body"].split("; "), nodes, odds, columns)
    for column in range(columns):
        unit.column(column)
    return RomUnit(
        head["name"], unit.ring(width), odds, unit.values, np.array([int(n[1:].split("_")[0]) for n in nodes])
    )


class _Body:
    """The statements of a unit, taken one after the other."""

    def __init__(self, name: str, statements: list[str], nodes: list[str], odds: tuple[int, ...], columns: int) -> None:
        self.name, self.statements, self.at = name, statements, 0
        self.odds, self.columns, self.product = odds, columns, 0
        self.nodes = {node: number for number, node in enumerate(nodes)}
        self.values = np.zeros((len(nodes), columns), dtype=np.int64)

    def _fail(self) -> ExtractionError:
        statement = self.statements[self.at] if self.at < len(self.statements) else "the end"
        return ExtractionError(f"{self.name}: not what a unit says here: {statement[:80]}")

    def _take(self, want: str | None = None) -> str:
        if self.at >= len(self.statements) or want not in (None, self.statements[self.at]):
            raise self._fail()
        self.at += 1
        return self.statements[self.at - 1]

    def _planes(self, prefix: str) -> dict[str, list[str]]:
        """Statements ``wire <prefix>... = a | b``, as many as there are."""
        planes = {}
        while (match := PLANE.fullmatch(self.statements[self.at])) and match[1].startswith(prefix):
            planes[match[1]] = match[2].split(" | ")
            self.at += 1
        return planes

    def column(self, c: int) -> None:
        """The statements of column ``c``: classes of nodes, and what the planes made of them multiply by."""
        classes = self._planes(f"w{c}_")
        minus = re.fullmatch(rf"wire minus{c} = xs\[{c}\] \^ \(([\w |]+)\)", self._take())
        shifts = self._planes(f"s{c}_")
        widths = [(127 * odd).bit_length() for odd in self.odds]
        wide = max(widths)
        pins = [_wide(wide - w, f"x{odd}[{w * (c + 1) - 1}:{w * c}]") for odd, w in zip(self.odds, widths, strict=True)]
        chosen = re.fullmatch(
            rf"wire \[{wide - 1}:0\] y{c} = "
            + "".join(rf"\(([\w |]+)\) \? {re.escape(pin)} : " for pin in pins[1:])
            + re.escape(pins[0]),
            self._take(),
        )
        if minus is None or chosen is None:
            self.at -= 1
            raise self._fail()
        weight = dict.fromkeys(classes, self.odds[0])
        for odd, members in zip(self.odds[1:], chosen.groups(), strict=True):
            weight |= dict.fromkeys(members.split(" | "), odd)
        amounts = {name: int(name.rsplit("_", 1)[1]) for name in shifts}
        placed = [(member, amounts[name]) for name, members in shifts.items() for member in members]
        negative = set(minus[1].split(" | "))
        if (
            sorted(m for m, _ in placed) != sorted(classes)
            or set(weight) != set(classes)
            or not negative <= set(classes)
        ):
            raise ExtractionError(f"{self.name}: column {c} does not shift every class once")
        for name, shift in placed:
            self._put(c, classes[name], (-1 if name in negative else 1) * (weight[name] << shift))
        self._product(c, wide, amounts)

    def _put(self, column: int, nodes: list[str], weight: int) -> None:
        for node in nodes:
            if node not in self.nodes or self.values[self.nodes[node], column]:
                raise ExtractionError(f"{self.name}: {node} is in no or two classes of column {column}")
            self.values[self.nodes[node], column] = weight

    def _product(self, c: int, wide: int, amounts: dict[str, int]) -> None:
        self.product = bits = (127 * int(np.abs(self.values).max())).bit_length()
        terms = (
            f"({{{bits}{{{name}}}}} & ({_wide(bits - wide, f'y{c}')} << {shift}))" for name, shift in amounts.items()
        )
        self._take(f"wire [{bits - 1}:0] t{c} = {{{bits}{{minus{c}}}}} ^ ( {' | '.join(terms)} )")

    def ring(self, width: int) -> int:
        """The statements that are left: sum, count of complements, the ring of accumulators; neurons in the ring."""
        total = (((1 << self.product) - 1) * self.columns).bit_length()
        few = self.columns.bit_length()
        names = range(self.columns)
        self._take(f"wire [{total - 1}:0] sum = " + " + ".join(_wide(total - self.product, f"t{c}") for c in names))
        self._take(f"wire [{few - 1}:0] count = " + " + ".join(_wide(few - 1, f"minus{c}") for c in names))
        fold = self._take().count("r") - 1
        self.at -= 1
        self._take(f"reg [{width - 1}:0] " + ", ".join(f"r{f}" for f in range(fold)))
        self._take(f"assign acc = r{fold - 1}")
        complements = f"{{count, {self.product}'d0}}"
        self._take(
            f"always @(posedge clk) begin r0 <= drain ? chain : acc + {_wide(width - total, 'sum')} + "
            f"{_wide(width - few, 'count')} - {_wide(width - few - self.product, complements)}"
        )
        for f in range(1, fold):
            self._take(f"r{f} <= r{f - 1}")
        if self.at != len(self.statements):
            raise self._fail()
        return fold


def _wide(bits: int, text: str) -> str:
    """``text`` with ``bits`` zeros before it."""
    return f"{{{bits}'d0, {text}}}" if bits else text
