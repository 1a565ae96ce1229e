"""Boolean functions as Liberty writes them, as truth tables and as Verilog."""

import re
from collections.abc import Sequence

__all__ = ["names", "truth_table", "verilog_expression"]


def names(function: str) -> list[str]:
    """Names in a Liberty `function`, constants included."""
    return re.findall(r"[A-Za-z_]\w*|[01]", function)


def truth_table(function: str, inputs: Sequence[str]) -> int:
    """Bit k: the value of a Liberty `function` where input i has bit i of k. Raises ValueError at other names."""
    rows = 1 << len(inputs)
    mask = (1 << rows) - 1
    values = {name: sum(1 << k for k in range(rows) if k >> i & 1) for i, name in enumerate(inputs)}
    values |= {"0": 0, "1": mask}
    if unknown := set(names(function)) - set(values):
        raise ValueError(f"'{function}' names {', '.join(sorted(unknown))}")
    return _Expression(function, values, mask).value


def verilog_expression(function: str) -> str:
    """A Liberty `function` of one-bit nets in Verilog, with every precedence written out."""
    values = {name: Term(name) for name in names(function)} | {"0": Term("1'b0"), "1": Term("1'b1")}
    return _Expression(function, values, Term("1'b1")).value.text


class Term:
    """A Verilog expression; operators make larger ones."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __and__(self, other: "Term") -> "Term":
        return Term(f"({self.text} & {other.text})")

    def __or__(self, other: "Term") -> "Term":
        return Term(f"({self.text} | {other.text})")

    def __xor__(self, other: "Term") -> "Term":
        return Term(f"({self.text} ^ {other.text})")


class _Expression:
    """Recursive descent: or < and < xor < not, with Liberty's postfix ' and products by juxtaposition.

    values: of the names, and mask, which is true: integers or `Term`s.
    """

    def __init__(self, text: str, values: dict, mask) -> None:
        self.tokens = re.findall(r"[A-Za-z_]\w*|[01]|[()!'^&*|+]", text)
        self.place, self.values, self.mask = 0, values, mask
        self.value = self._sum()

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def _sum(self):
        value = self._product()
        while self._next() in ("|", "+"):
            self._take()
            value = value | self._product()
        return value

    def _product(self):
        value = self._exclusive()
        while self._next() and self._next() not in "|+)":
            if self._next() in "&*":
                self._take()
            value = value & self._exclusive()
        return value

    def _exclusive(self):
        value = self._factor()
        while self._next() == "^":
            self._take()
            value = value ^ self._factor()
        return value

    def _factor(self):
        token = self._take()
        if token == "!":
            return self._factor() ^ self.mask
        value = self._sum() if token == "(" else self.values[token]
        if token == "(":
            self._take()
        while self._next() == "'":
            self._take()
            value = value ^ self.mask
        return value
