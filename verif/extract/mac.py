"""Reads a multiply-accumulate unit of the serial styles: what its columns multiply by, pins being known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hardloom.verif.extract.boolean import evaluate
from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["UNSOUND", "MacUnit", "read_mac"]

HEAD = re.compile(
    r"module (?P<name>\w+) \( input wire clk, input wire drain, input wire \[(?P<top>\d+):0\] chain, "
    r"output wire \[(?P=top):0\] acc, input wire \[(?P<columns>\d+):0\] xs, (?P<odds>(?:input wire \[\d+:0\] x\d+, )+)"
    r"(?P<pins>[^)]*) \); (?P<body>.*); end endmodule"
)
WIRE = re.compile(r"wire (\w+) = (.*)")
UNSOUND = -(1 << 40)  # no weight and no shift

Expressions = list[tuple[str, str]]


@dataclass
class _Column:
    """Wires of a column, when its weight is negative, and when each factor and shift holds, by number."""

    wires: Expressions
    negative: str
    factors: dict[int, str]
    shifts: dict[int, str]


@dataclass
class MacUnit:
    """name: module; fold: neurons in its ring; width: bits of an accumulator; odds: multiples of an input that it is
    given; limit: largest magnitude of an input; pins: names of the pins that tell weights, in order."""

    name: str
    width: int
    limit: int
    odds: tuple[int, ...]
    pins: list[str]
    fold: int = 0
    product: int = 0
    columns: list[_Column] = field(default_factory=list)
    exponents: dict[int, str] = field(default_factory=dict)

    def bits(self, factor: int) -> int:
        """Bits of the magnitude of an input times `factor`."""
        return (self.limit * factor).bit_length()

    @property
    def control(self) -> tuple[str, ...]:
        """Ports before `pins`."""
        return ("clk", "drain", "chain", "acc", "xs", *(f"x{odd}" for odd in self.odds))

    def weights(self, column: int, states: Mapping[str, np.ndarray], size: int) -> np.ndarray:
        """What `column` multiplies by in each of `size` states of its pins, int64 [size]; `states`: bool by pin.

        `UNSOUND` where it does no multiplication. Raises ExtractionError where it depends on other pins.
        """
        found, read = dict(states), self.columns[column]
        for name, text in read.wires:
            found[name] = evaluate(text, found, size)
        factor = self._chosen(read.factors, found, size)
        for number, text in read.shifts.items():
            found[f"s{column}_{number}"] = evaluate(text, found, size)
        shift = self._chosen(read.shifts, found, size) if read.shifts else np.zeros(size, dtype=np.int64)
        magnitude = factor.clip(0) << shift.clip(0)
        magnitude[(factor < 0) | (shift < 0)] = 0
        sound = (factor != UNSOUND) & ((factor < 0) | (shift != UNSOUND)) & (self.limit * magnitude < 1 << self.product)
        sign = np.where(evaluate(read.negative, found, size), -1, 1)
        return np.where(sound, sign * magnitude, UNSOUND)

    def shifts(self, states: Mapping[str, np.ndarray], size: int) -> np.ndarray:
        """How far the sum of all columns is shifted in each of `size` states of the exponent's pins, int64 [size].

        Minus 1 where nothing is left of the sum, `UNSOUND` where it is no shift.
        """
        return self._chosen(self.exponents, states, size) if self.exponents else np.zeros(size, dtype=np.int64)

    def _chosen(self, choices: dict[int, str], states: Mapping[str, np.ndarray], size: int) -> np.ndarray:
        """The number whose expression holds in each state, -1 where none does, `UNSOUND` where several do."""
        held = np.stack([evaluate(text, states, size) for text in choices.values()])
        chosen = np.where(held.any(axis=0), np.array(list(choices))[held.argmax(axis=0)], -1)
        return np.where(held.sum(axis=0) > 1, UNSOUND, chosen)


def read_mac(text: str) -> MacUnit:
    """The unit in `text`. Raises ExtractionError when it does anything else than such a unit should."""
    code = one_line(text)
    head = HEAD.fullmatch(code)
    if head is None:
        raise ExtractionError(f"not a unit of a serial style: {code[:60]}")
    columns = int(head["columns"]) + 1
    odds = tuple(map(int, re.findall(r"x(\d+)", head["odds"])))
    pins = head["pins"].replace("input wire ", "").split(", ")
    first = int(re.findall(r"\[(\d+):0\]", head["odds"])[0]) + 1
    unit = MacUnit(head["name"], int(head["top"]) + 1, input_limit(first // columns, odds[0]), odds, pins)
    ports = "".join(f"input wire [{columns * unit.bits(o) - 1}:0] x{o}, " for o in odds)
    sound = all(re.fullmatch(r"[a-z]\w*", pin) for pin in pins) and len(set(pins)) == len(pins)
    if not sound or head["odds"] != ports or any(odd % 2 == 0 for odd in odds):
        raise ExtractionError(f"{head['name']}: its ports are malformed")
    return _Body(unit, head["body"].split("; "), columns).read()


def input_limit(bits: int, odd: int) -> int:
    """Largest magnitude of an input, whose multiple by `odd` has so many bits; 0 where there is none."""
    limits = ((1 << magnitude) - 1 for magnitude in range(1, bits + 1))
    return next((limit for limit in limits if (limit * odd).bit_length() == bits), 0)


class _Body:
    """The statements of a unit, taken one after the other."""

    def __init__(self, unit: MacUnit, statements: list[str], columns: int) -> None:
        self.unit, self.statements, self.columns, self.at = unit, statements, columns, 0

    def read(self) -> MacUnit:
        for column in range(self.columns):
            self._column(column)
        self._ring(self._sum())
        if self.at != len(self.statements):
            raise self._fail()
        return self.unit

    def _fail(self) -> ExtractionError:
        statement = self.statements[self.at] if self.at < len(self.statements) else "the end"
        return ExtractionError(f"{self.unit.name}: not what a unit says here: {statement[:80]}")

    def _take(self, want: str) -> None:
        if self.at >= len(self.statements) or self.statements[self.at] != want:
            raise self._fail()
        self.at += 1

    def _wires(self, pattern: str) -> Expressions:
        """Statements `wire <name> = <expression>`, as many as there are with names of `pattern`."""
        found = []
        while self.at < len(self.statements) and (match := WIRE.fullmatch(self.statements[self.at])):
            if not re.fullmatch(pattern, match[1]):
                break
            found.append((match[1], match[2]))
            self.at += 1
        return found

    def _numbered(self, prefix: str) -> dict[int, str]:
        """Expressions of the wires `<prefix><number>`, by number."""
        return {int(name[len(prefix) :]): text for name, text in self._wires(prefix + r"(?:0|[1-9]\d*)")}

    def _column(self, c: int) -> None:
        """The statements of column `c`."""
        wires = self._wires(rf"[bw]{c}_\w+")
        minus = self.statements[self.at] if self.at < len(self.statements) else ""
        negative = re.fullmatch(rf"wire minus{c} = xs\[{c}\] \^ \((.*)\)", minus)
        if negative is None:
            raise self._fail()
        self.at += 1
        factors, shifts = self._numbered(f"f{c}_"), self._numbered(f"s{c}_")
        if not factors or 0 in factors:
            raise self._fail()
        self._product(c, list(factors), list(shifts))
        self.unit.columns.append(_Column(wires, negative[1], factors, shifts))

    def _product(self, c: int, factors: list[int], shifts: list[int]) -> None:
        """The multiple of input `c`, shifted, complemented."""
        wide = max(map(self.unit.bits, factors))
        terms = []
        for factor in factors:
            zeros = (factor & -factor).bit_length() - 1
            odd, bits = factor >> zeros, self.unit.bits(factor >> zeros)
            if odd not in self.unit.odds:
                raise self._fail()
            pin = _wide(wide - bits, f"x{odd}[{bits * (c + 1) - 1}:{bits * c}]")
            terms.append(f"({{{wide}{{f{c}_{factor}}}}} & ({pin} << {zeros}))")
        self._take(f"wire [{wide - 1}:0] y{c} = " + " | ".join(terms))
        if self.unit.product == 0 and (match := re.match(r"wire \[(\d+):0\] t0 ", self.statements[self.at])):
            self.unit.product = int(match[1]) + 1
        product = self.unit.product
        if product < wide:
            raise self._fail()
        multiple = _wide(product - wide, f"y{c}")
        shifted = " | ".join(f"({{{product}{{s{c}_{shift}}}}} & ({multiple} << {shift}))" for shift in shifts)
        self._take(f"wire [{product - 1}:0] t{c} = {{{product}{{minus{c}}}}} ^ ( {shifted or multiple} )")

    def _sum(self) -> tuple[str, int]:
        """The sum of the products and its shift by an exponent: name and bits of the result."""
        product, names = self.unit.product, range(self.columns)
        bits = ((self.columns << (product + 1)) - 1).bit_length()
        terms = (f"{_wide(bits - product - 1, f'{{~minus{c}, t{c}}}')} + {_wide(bits - 1, f'minus{c}')}" for c in names)
        self._take(f"wire [{bits - 1}:0] sum = " + " + ".join(terms))
        self._take(f"wire [{bits - 1}:0] total = sum - {bits}'d{self.columns << product}")
        self.unit.exponents = self._numbered("e")
        return self._scaled(bits) if self.unit.exponents else ("total", bits)

    def _scaled(self, bits: int) -> tuple[str, int]:
        wide = bits + max(self.unit.exponents)
        total = _signed(wide - bits, bits - 1, "total")
        terms = (f"({{{wide}{{e{shift}}}}} & ({total} << {shift}))" for shift in self.unit.exponents)
        self._take(f"wire [{wide - 1}:0] scaled = " + " | ".join(terms))
        return "scaled", wide

    def _ring(self, result: tuple[str, int]) -> None:
        """The accumulators; `result`: what is added, and its bits."""
        name, bits = result
        width = self.unit.width
        if bits > width:
            raise self._fail()
        fold = self.statements[self.at].count("r") - 1 if self.at < len(self.statements) else 0
        self._take(f"reg [{width - 1}:0] " + ", ".join(f"r{f}" for f in range(fold)))
        self._take(f"assign acc = r{fold - 1}")
        added = _signed(width - bits, bits - 1, name)
        self._take(f"always @(posedge clk) begin r0 <= drain ? chain : acc + {added}")
        for f in range(1, fold):
            self._take(f"r{f} <= r{f - 1}")
        self.unit.fold = fold


def _wide(bits: int, text: str) -> str:
    """`text` with `bits` zeros before it."""
    return f"{{{bits}'d0, {text}}}" if bits else text


def _signed(bits: int, top: int, name: str) -> str:
    """`name`, whose highest bit is `top`, with `bits` copies of its sign before it."""
    return f"{{{{{bits}{{{name}[{top}]}}}}, {name}}}" if bits else name
