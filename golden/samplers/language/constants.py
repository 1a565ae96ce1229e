"""What of a sampler is known when it is compiled: parameters, `gen_length`, the model's tokens, and what follows."""

import ast
import operator
from collections.abc import Callable

from hardloom.golden.samplers.language.source import WORD, Number, Refused

__all__ = ["COMPARISONS", "Constants"]

OPERATORS: dict[type[ast.operator], Callable[..., Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: dict[str, Callable[..., Number]] = {"min": min, "max": max}


class Constants:
    """names: what is known so far; unset: names that will be, with a value only behind their assignment."""

    def __init__(self, names: dict[str, Number | None]) -> None:
        self.names = names
        self.unset: set[str] = set()

    def value(self, node: ast.expr) -> Number | None:
        """What `node` comes to; None where that is known only as the program runs. Raises `Refused`."""
        match node:
            case ast.Constant(bool() | int() | float() as value):
                return self._bounded(node, int(value) if isinstance(value, bool) else value)
            case ast.Constant():
                raise Refused(node, f"{ast.unparse(node):.40} is no number; write an integer or a probability")
            case ast.Name(name) if name in self.unset:
                raise Refused(node, f"{name} is used before it is set; set it above")
            case ast.Name(name):
                return self._named(node, name)
            case ast.BinOp(left, op, right) if type(op) in OPERATORS:
                return self._apply(node, OPERATORS[type(op)], [left, right])
            case ast.UnaryOp(ast.USub(), operand):
                return self._apply(node, operator.neg, [operand])
            case ast.UnaryOp(ast.Not(), operand):
                return self._apply(node, operator.not_, [operand])
            case ast.Compare(left, ops, right) if all(type(op) in COMPARISONS for op in ops):
                return self._compare(node, ops, [left, *right])
            case ast.BoolOp(op, values):
                return self._junction(isinstance(op, ast.Or), values)
            case ast.IfExp(test, body, orelse):
                known = self.value(test)
                return None if known is None else self.value(body if known else orelse)
            case ast.Call(ast.Name(name), args, []) if name in FUNCTIONS and len(args) > 1:
                return self._apply(node, FUNCTIONS[name], args)
            case ast.Call(ast.Name("limit"), [threshold], []):
                # here, for who asks for programs alone loads no PyTorch
                from hardloom.golden.samplers.denoise import spread_limit

                return spread_limit(self.probability(threshold))
        return None

    def integer(self, node: ast.expr) -> int | None:
        """As `value`, of what must fit a register."""
        value = self.value(node)
        if value is not None and (not isinstance(value, int) or not 0 <= value <= WORD):
            raise Refused(node, f"{ast.unparse(node):.40} is {value}; a register holds integers from 0 to {WORD}")
        return value

    def probability(self, node: ast.expr) -> float:
        """As `value`, of what must be known and from 0 to 1."""
        value = self.value(node)
        if value is None:
            raise Refused(node, f"the threshold {ast.unparse(node):.40} is not known beforehand; give a parameter")
        if not 0 <= value <= 1:
            raise Refused(node, f"the threshold {ast.unparse(node):.40} is {value}; give one from 0 to 1")
        return value

    def _named(self, node: ast.Name, name: str) -> Number | None:
        value = self.names.get(name)
        if value is None and name in self.names:
            raise Refused(node, f"the model has no {name}; set the parameter that defaults to it")
        return value

    def _bounded(self, node: ast.expr, value: Number) -> Number:
        """Numbers in a text do not grow without end."""
        if isinstance(value, int) and abs(value) >> 64:
            raise Refused(node, f"{ast.unparse(node):.40} is beyond 64 bits; use smaller numbers")
        return value

    def _apply(self, node: ast.expr, function: Callable[..., Number], parts: list[ast.expr]) -> Number | None:
        values = [self.value(part) for part in parts]
        if any(value is None for value in values):
            return None
        try:
            if function is operator.lshift and isinstance(values[1], int) and values[1] > 63:
                raise OverflowError("shifted too far")
            found = function(*values)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise Refused(node, f"{ast.unparse(node):.40} has no value ({error}); change its numbers") from None
        return self._bounded(node, int(found) if isinstance(found, bool) else found)

    def _compare(self, node: ast.expr, ops: list[ast.cmpop], parts: list[ast.expr]) -> Number | None:
        values = [self.value(part) for part in parts]
        if values[0] is None and values[1:] == [0] and isinstance(ops[0], ast.Lt | ast.GtE):
            return int(isinstance(ops[0], ast.GtE))  # registers are unsigned
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        return int(all(COMPARISONS[type(op)](a, b) for op, a, b in zip(ops, known, known[1:], strict=False)))

    def _junction(self, decisive: bool, parts: list[ast.expr]) -> Number | None:
        """`or` where one that holds is decisive, else `and`."""
        values = [self.value(part) for part in parts]
        if any(value is not None and bool(value) == decisive for value in values):
            return int(decisive)
        return None if any(value is None for value in values) else int(not decisive)
