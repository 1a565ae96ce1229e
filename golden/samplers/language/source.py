"""A sampler's text taken apart: what it says of itself, its parameters and its statements."""

import ast
import math
from dataclasses import dataclass
from enum import StrEnum

from hardloom.golden.errors import UserError

__all__ = ["WORD", "Kind", "Number", "Parameter", "Refused", "Source", "Unmet"]

Number = int | float

WORD = (1 << 32) - 1
"""The largest integer of a program."""

HUGE = "a number is beyond 64 bits; use smaller numbers"

MOST_AMOUNT = 16
"""What an amount stays below."""


class Refused(Exception):
    """What is wrong and what to write instead, at a node of the text; the compiler adds the file."""

    def __init__(self, node: ast.AST, text: str) -> None:
        super().__init__(text)
        self.line = getattr(node, "lineno", 1)


class Unmet(Exception):
    """What the sampler itself requires of its parameters, in its own words."""


class Kind(StrEnum):
    """Of a parameter's value."""

    COUNT = "count"
    NUMBER = "number"
    PROBABILITY = "probability"
    SWITCH = "switch"
    TOKEN = "token"
    AMOUNT = "amount"

    @property
    def values(self) -> str:
        """What it may be, in words."""
        return VALUES[self]

    def holds(self, value: Number) -> bool:
        """Whether `value` is of this kind, whatever the vocabulary."""
        if self is Kind.AMOUNT:
            return 0 <= value < MOST_AMOUNT
        if self is Kind.PROBABILITY:
            return not math.isnan(value) and 0 <= value <= 1
        most = 1 if self is Kind.SWITCH else WORD
        return isinstance(value, int) and int(self is Kind.COUNT) <= value <= most

    def parse(self, text: str) -> Number:
        """The value that `text` writes, of whatever size; ValueError where it is no number."""
        return float(text) if self in (Kind.PROBABILITY, Kind.AMOUNT) else int(text)


VALUES = {
    Kind.COUNT: f"an integer from 1 to {WORD}",
    Kind.NUMBER: f"an integer from 0 to {WORD}",
    Kind.PROBABILITY: "a number from 0 to 1",
    Kind.SWITCH: "0 or 1",
    Kind.TOKEN: "a token id of the vocabulary",
    Kind.AMOUNT: "a number from 0, below 16",
}


@dataclass(frozen=True)
class Parameter:
    """`name: kind = default`; default: an expression of what stands before it, None where a value must be given."""

    name: str
    kind: Kind
    default: ast.expr | None
    line: int

    @property
    def default_text(self) -> str:
        """As it is written."""
        return "" if self.default is None else ast.unparse(self.default)

    def check(self, value: Number, sampler: str, vocab_size: int = WORD) -> None:
        """Raise `UserError` for a value that is not of its kind."""
        if not self.kind.holds(value) or (self.kind is Kind.TOKEN and value >= vocab_size):
            raise UserError(f"sampler {sampler}: {self.name} is {value}; give {self.kind.values}")


COMMON = (
    Parameter("suppress_eos", Kind.SWITCH, ast.Constant(0), 0),
    Parameter("temperature", Kind.AMOUNT, ast.Constant(0), 0),
    Parameter("guidance", Kind.AMOUNT, ast.Constant(0), 0),
    Parameter("seed", Kind.NUMBER, ast.Constant(0), 0),
    Parameter("credit", Kind.AMOUNT, ast.Constant(0), 0),
    Parameter("credit_decay", Kind.PROBABILITY, ast.Constant(0.8), 0),
    Parameter("credit_power", Kind.PROBABILITY, ast.Constant(0.2), 0),
    Parameter("vicinity", Kind.NUMBER, ast.Constant(65_535), 0),
)
"""Parameters of every sampler, behind its own."""


@dataclass(frozen=True)
class Source:
    """name: of the sampler; label: of its file, for messages; about: its docstring; body: its statements."""

    name: str
    label: str
    about: str
    parameters: tuple[Parameter, ...]
    body: tuple[ast.stmt, ...]

    @classmethod
    def parse(cls, name: str, label: str, text: str) -> "Source":
        """Raises `UserError` where `text` is no sampler's."""
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            said = HUGE if "digits" in error.msg else f"{error.msg}; samplers are written as Python is"
            raise UserError(f"{label}:{error.lineno or 1}: {said}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise UserError(f"{label}: cannot be read ({error}); samplers are written as Python is") from None
        refuse_huge_numbers(label, tree)
        statements = tree.body
        match statements[:1]:
            case [ast.Expr(ast.Constant(str() as about))]:
                pass
            case _:
                raise UserError(f"{label}:1: there is no docstring; say first what the sampler does, in three quotes")
        given = [one for one in statements if isinstance(one, ast.AnnAssign)]
        try:
            parameters = tuple(parameter(one) for one in given)
        except Refused as error:
            raise UserError(f"{label}:{error.line}: {error}") from None
        parameters += COMMON
        every = ", ".join(one.name for one in COMMON)
        if len({one.name for one in parameters}) < len(parameters):
            raise UserError(f"{label}: a parameter is there twice, or one of every sampler ({every}); name each once")
        body = tuple(one for one in statements[1:] if not isinstance(one, ast.AnnAssign))
        return cls(name, label, about, parameters, body)

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.about.strip().splitlines()[0]


def refuse_huge_numbers(label: str, tree: ast.Module) -> None:
    """Before anything writes them out: Python has no decimal text of an integer of thousands of digits."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value >> 64:
            raise UserError(f"{label}:{node.lineno}: {HUGE}")


def parameter(node: ast.AnnAssign) -> Parameter:
    """Of a statement `name: kind = default`."""
    kinds = ", ".join(Kind)
    match node:
        case ast.AnnAssign(target=ast.Name(name), annotation=ast.Name(kind)) if kind in list(Kind):
            return Parameter(name, Kind(kind), node.value, node.lineno)
    raise Refused(node, f"a parameter is written `name: kind = default`, its kind one of {kinds}")
