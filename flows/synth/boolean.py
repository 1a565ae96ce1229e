"""Boolean functions as Liberty writes them, as truth tables."""

import re
from collections.abc import Sequence

__all__ = ["truth_table"]


def truth_table(function: str, inputs: Sequence[str]) -> int:
    """Bit k: the value of a Liberty `function` where input i has bit i of k. Raises ValueError at other names."""
    rows = 1 << len(inputs)
    mask = (1 << rows) - 1
    values = {name: sum(1 << k for k in range(rows) if k >> i & 1) for i, name in enumerate(inputs)}
    values |= {"0": 0, "1": mask}
    names = re.findall(r"[A-Za-z_]\w*|[01]", function)
    if unknown := set(names) - set(values):
        raise ValueError(f"'{function}' names {', '.join(sorted(unknown))}")
    return _Expression(function, values, mask).value


class _Expression:
    """Recursive descent: or < and < xor < not, with Liberty's postfix ' and products by juxtaposition."""

    def __init__(self, text: str, values: dict[str, int], mask: int) -> None:
        self.tokens = re.findall(r"[A-Za-z_]\w*|[01]|[()!'^&*|+]", text)
        self.place, self.values, self.mask = 0, values, mask
        self.value = self._sum()

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def _sum(self) -> int:
        value = self._product()
        while self._next() in ("|", "+"):
            self._take()
            value |= self._product()
        return value

    def _product(self) -> int:
        value = self._exclusive()
        while self._next() and self._next() not in "|+)":
            if self._next() in "&*":
                self._take()
            value &= self._exclusive()
        return value

    def _exclusive(self) -> int:
        value = self._factor()
        while self._next() == "^":
            self._take()
            value ^= self._factor()
        return value

    def _factor(self) -> int:
        token = self._take()
        if token == "!":
            return self._factor() ^ self.mask
        value = self._sum() if token == "(" else self.values[token]
        if token == "(":
            self._take()
        while self._next() == "'":
            self._take()
            value ^= self.mask
        return value
