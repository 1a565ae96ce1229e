"""Boolean expressions: how Verilog writes them, and any language that has the same operators."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["compute", "evaluate"]

TOKEN = re.compile(r"1'b[01]|[A-Za-z_]\w*|[~&|()]")
BINARY = {"|": operator.or_, "&": operator.and_, "^": operator.xor}
VERILOG = "|^&"
"""Binary operators, the loosest first."""


def compute(tokens: Iterable[str], operand: Callable[[str], Any], precedence: str = VERILOG) -> Any:
    """The value of an expression whose names and constants are worth `operand(token)`, anything with & | ^ ~.

    `~` stands before what it inverts, `'` behind it; both bind closest, then binary operators, the last of `precedence`
    closer than the first. Raises ValueError where brackets do not match, or an operand or operator is missing.
    """
    values: list[Any] = []
    waiting: list[str] = []  # operators whose operands are not all there, and brackets

    def finish(loosest: int) -> None:
        while waiting and waiting[-1] != "(" and (waiting[-1] == "~" or precedence.index(waiting[-1]) >= loosest):
            last = values.pop()
            sign = waiting.pop()
            values.append(~last if sign == "~" else BINARY[sign](values.pop(), last))

    ended = False  # whether the token before ended an operand
    for token in tokens:
        if ended != (token in BINARY or token in (")", "'")):
            raise ValueError(f"an {'operator' if ended else 'operand'} is missing before {token!r}")
        if token == "'":
            values.append(~values.pop())
        elif token == ")":
            finish(0)
            if not waiting:
                raise ValueError("a bracket was not opened")
            waiting.pop()
        elif token in BINARY:
            finish(precedence.index(token))
            waiting.append(token)
        elif token in "~(":
            waiting.append(token)
        else:
            values.append(operand(token))
        ended = token not in BINARY and token not in "~("
    if not ended:
        raise ValueError("it ends early")
    finish(0)
    if waiting:
        raise ValueError("a bracket is not closed")
    return values.pop()


def evaluate(text: str, states: Mapping[str, np.ndarray], size: int) -> np.ndarray:
    """What `text` is in every one of `size` states, bool [size]; `states`: each name's value in all of them.

    Raises ExtractionError where the text is no such expression, or names what `states` do not hold.
    """
    tokens = TOKEN.findall(text)
    constants = {f"1'b{bit}": np.full(size, bool(bit)) for bit in (0, 1)}
    try:
        if "".join(tokens) != text.replace(" ", ""):
            raise ValueError("it holds what is neither name nor operator")
        return compute(tokens, (constants | dict(states)).__getitem__)
    except KeyError as error:
        raise ExtractionError(f"{error.args[0]} is not known here: {text[:60]}") from None
    except ValueError as error:
        raise ExtractionError(f"not a Boolean expression ({error}): {text[:60]}") from None
