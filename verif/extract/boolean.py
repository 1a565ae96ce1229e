"""Values of Boolean expressions of Verilog: names, 1'b0, 1'b1, ~, &, |, brackets."""

import re
from collections.abc import Mapping

import numpy as np

from verif.extract.errors import ExtractionError

__all__ = ["evaluate"]

TOKEN = re.compile(r"1'b[01]|[A-Za-z_]\w*|[~&|()]")


def evaluate(text: str, states: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """What `text` is in every one of `size` states, bool [size]; `states`: each name's value in all of them.

    Raises ExtractionError where the text is no such expression, or names what `states` do not hold.
    """
    tokens = TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise ExtractionError(f"not a Boolean expression: {text[:60]}")
    expression = _Expression(text, tokens, states, size)
    value = expression.alternatives()
    if expression.tokens:
        raise ExtractionError(f"not a Boolean expression: {text[:60]}")
    return value


class _Expression:
    """Tokens, taken from the front as they are evaluated."""

    def __init__(self, text: str, tokens: list[str], states: Mapping[str, np.ndarray], size: int) -> None:
        self.text, self.tokens, self.states, self.size = text, tokens[::-1], states, size

    def _next(self) -> str:
        if not self.tokens:
            raise ExtractionError(f"the expression ends early: {self.text[:60]}")
        return self.tokens.pop()

    def alternatives(self) -> np.ndarray:
        value = self._conjunction()
        while self.tokens and self.tokens[-1] == "|":
            self.tokens.pop()
            value = value | self._conjunction()
        return value

    def _conjunction(self) -> np.ndarray:
        value = self._factor()
        while self.tokens and self.tokens[-1] == "&":
            self.tokens.pop()
            value = value & self._factor()
        return value

    def _factor(self) -> np.ndarray:
        token = self._next()
        if token == "~":
            return ~self._factor()
        if token == "(":
            value = self.alternatives()
            if self._next() != ")":
                raise ExtractionError(f"a bracket is not closed: {self.text[:60]}")
            return value
        if token.startswith("1'b"):
            return np.full(self.size, token == "1'b1")
        if token not in self.states:
            raise ExtractionError(f"{token} is not known here: {self.text[:60]}")
        return self.states[token]
