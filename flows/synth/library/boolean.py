"""Boolean functions as Liberty writes them: checked, as truth tables, and as text for Verilog and Liberty alike."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hardloom.verif.extract.boolean import compute

__all__ = ["expression", "names", "truth_table"]

TOKEN = re.compile(r"[A-Za-z_]\w*|[01](?!\w)|[()!'^&*|+]", re.ASCII)
MEANING = {"!": "~", "*": "&", "+": "|"}
PRECEDENCE = "|&^"
"""Liberty's: exclusive or binds closest."""


def tokens(function: str) -> Iterator[str]:
    """Tokens of a Liberty `function` as Verilog spells them, with a `&` where factors stand side by side."""
    found = TOKEN.findall(function)
    if "".join(found) != "".join(function.split()):
        raise ValueError("it has a character that Liberty does not know")
    ended = False  # whether an operand ends before this token
    for token in found:
        if ended and (token in "(!" or token[0].isalnum() or token[0] == "_"):
            yield "&"
        ended = token in ")'" or token[0].isalnum() or token[0] == "_"
        yield MEANING.get(token, token)


def names(function: str) -> set[str]:
    """Names of pins and states in a Liberty `function`."""
    return set(re.findall(r"[A-Za-z_]\w*", function))


def truth_table(function: str, inputs: Sequence[str]) -> int:
    """Bit k: the value of a Liberty `function` where input i has bit i of k. Raises ValueError where it is none of
    these inputs."""
    rows = 1 << len(inputs)
    values = {name: sum(1 << k for k in range(rows) if k >> i & 1) for i, name in enumerate(inputs)}
    return computed(function, values | {"0": 0, "1": -1}) & (1 << rows) - 1


@dataclass(frozen=True)
class Term:
    """An expression; operators make larger ones."""

    text: str

    def __and__(self, other: "Term") -> "Term":
        return Term(f"({self.text} & {other.text})")

    def __or__(self, other: "Term") -> "Term":
        return Term(f"({self.text} | {other.text})")

    def __xor__(self, other: "Term") -> "Term":
        return Term(f"({self.text} ^ {other.text})")

    def __invert__(self) -> "Term":
        return Term(self.text[1:] if self.text.startswith("!") else f"!{self.text}")


def expression(function: str, zero: str = "0", one: str = "1") -> str:
    """A Liberty `function` with every precedence written out, as Liberty and, of one-bit nets, Verilog understand it.

    Raises ValueError where it is none.
    """
    return computed(function, {name: Term(name) for name in names(function)} | {"0": Term(zero), "1": Term(one)}).text


def computed(function: str, values: dict):
    try:
        return compute(tokens(function), values.__getitem__, PRECEDENCE)
    except KeyError as error:
        raise ValueError(f"function '{function[:60]}' names {error.args[0]}") from None
    except ValueError as error:
        raise ValueError(f"function '{function[:60]}': {error}") from None
