"""Values and conditions of a sampler's text as instructions."""

import ast
from dataclasses import dataclass, field

from hardloom.golden.samplers.language.assembly import FIRST_VARIABLE, Assembly, Constant, Label, Operand
from hardloom.golden.samplers.language.constants import COMPARISONS, Constants
from hardloom.golden.samplers.language.source import Refused
from hardloom.golden.samplers.machine import POSITIONS, PROMPT_LENGTH, REGISTERS, Op, Which

__all__ = ["KEPT", "WHICH", "Expressions"]

READ = {"token": Op.TOKEN, "guess": Op.GUESS, "spread": Op.SPREAD, "note": Op.NOTE, "memo": Op.MEMO}
KEPT = {"token": Op.PUT, "note": Op.SET_NOTE, "memo": Op.SET_MEMO}
"""What a program may write of a position."""

WHICH = {"masked": Which.MASKED, "filled": Which.FILLED, "differs": Which.DIFFERS, "guessed": Which.GUESSED}
BINARY: dict[type[ast.operator], Op] = {
    ast.Add: Op.ADD,
    ast.Sub: Op.SUB,
    ast.BitAnd: Op.AND,
    ast.BitOr: Op.OR,
    ast.BitXor: Op.XOR,
}
SHIFTS: dict[type[ast.operator], Op] = {ast.LShift: Op.SHL, ast.RShift: Op.SHR}
LEFT_OUT = {
    ast.Mult: "a product of values is not in the language; multiply by a constant below 65536, or use mul16(a, b)",
    ast.FloorDiv: "division is by constant powers of two alone; compare in a loop instead",
    ast.Mod: "division is by constant powers of two alone; compare in a loop instead",
    ast.Div: "there are no fractions; write // of powers of two",
    ast.LShift: "shifts are by constants below 32; write one",
    ast.RShift: "shifts are by constants below 32; write one",
}
CONDITIONS = ("confident", "any", "is_eos")


@dataclass
class Expressions:
    """constants: what is known; ends: the model's ids of eos; variables: their registers; top: the lowest register
    that a passing value has now, lowest: that one ever has had."""

    code: Assembly
    constants: Constants
    ends: tuple[int, ...]
    variables: dict[str, int] = field(default_factory=lambda: {"prompt_length": PROMPT_LENGTH, "positions": POSITIONS})
    top: int = REGISTERS
    lowest: int = REGISTERS
    scanning: bool = False

    def passing(self) -> int:
        """A register for a value that passes."""
        self.top -= 1
        self.lowest = min(self.lowest, self.top)
        return self.top

    def variable(self, node: ast.Name) -> int:
        """The register of a name."""
        if node.id not in self.variables:
            raise Refused(node, f"{node.id} is not known; set it, or correct the name")
        return self.variables[node.id]

    def declare(self, name: str) -> int:
        """The register of a name that gets a value."""
        return self.variables.setdefault(name, FIRST_VARIABLE + len(self.variables) - 2)

    def operand(self, node: ast.expr, target: int = 0) -> Operand:
        """Where the value of `node` is, in a passing register where it had to be computed: `target` if it is one."""
        value = self.constants.integer(node)
        if value is not None:
            return Constant(value)
        if isinstance(node, ast.Name):
            return self.variable(node)
        if target < self.top:
            target = self.passing()
        self.into(target, node)
        return target

    def into(self, target: int, node: ast.expr) -> None:
        """Register `target` = the value of `node`."""
        value, top = self.constants.integer(node), self.top
        if value is not None:
            self.code.load(target, value)
        else:
            self._compute(target, node)
        self.top = top

    def _compute(self, target: int, node: ast.expr) -> None:
        match node:
            case ast.Name():
                if self.variable(node) != target:
                    self.code.emit(Op.ADDI, target, self.variable(node))
            case ast.BinOp(left, op, right):
                self._binary(target, node, left, op, right)
            case ast.Subscript(ast.Name(name), index) if name in READ:
                self.code.emit(READ[name], target, self.operand(index, target))
            case ast.Call(ast.Name("mul16"), [left, right], []):
                self.code.emit(Op.MUL, target, self.operand(left, target), self.operand(right))
            case ast.Call(ast.Name("min" | "max" as name), [left, right], []):
                self._extreme(target, self.operand(left, target), self.operand(right), name == "min")
            case ast.IfExp(test, body, orelse):
                self._choice(target, test, body, orelse)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(ast.Not()):
                self._truth(target, node)
            case ast.Call(ast.Name(name)) if name in CONDITIONS:
                self._truth(target, node)
            case _:
                raise Refused(node, f"{ast.unparse(node):.40} is no value of the language; docs/samplers.md lists them")

    def _binary(self, target: int, node: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr) -> None:
        known, code = self.constants.integer(right), self.code
        if isinstance(op, ast.Add | ast.Sub) and known is not None and known < 1 << 15:
            code.emit(Op.ADDI, target, self.operand(left, target), imm=known if isinstance(op, ast.Add) else -known)
        elif isinstance(op, ast.Add) and (first := self.constants.integer(left)) is not None and first < 1 << 15:
            code.emit(Op.ADDI, target, self.operand(right, target), imm=first)
        elif type(op) in BINARY:
            code.emit(BINARY[type(op)], target, self.operand(left, target), self.operand(right))
        elif type(op) in SHIFTS and known is not None and known < 32:
            code.emit(SHIFTS[type(op)], target, self.operand(left, target), imm=known)
        elif isinstance(op, ast.Mult) and known is not None and known < 1 << 16:
            code.emit(Op.MUL, target, self.operand(left, target), Constant(known << 16))
        elif isinstance(op, ast.FloorDiv) and known and not known & (known - 1):
            code.emit(Op.SHR, target, self.operand(left, target), imm=known.bit_length() - 1)
        elif isinstance(op, ast.Mod) and known and not known & (known - 1):
            code.emit(Op.AND, target, self.operand(left, target), Constant(known - 1))
        else:
            raise Refused(node, LEFT_OUT.get(type(op), f"{ast.unparse(node):.40} is not in the language; reword it"))

    def _extreme(self, target: int, left: Operand, right: Operand, least: bool) -> None:
        """The least of two values, or the greatest."""
        first, end = Label(), Label()
        self.code.emit(Op.JLT if least else Op.JGE, left, right, target=first)
        self.code.emit(Op.ADDI, target, right)
        self.code.emit(Op.JUMP, target=end)
        self.code.place(first)
        self.code.emit(Op.ADDI, target, left)
        self.code.place(end)

    def _choice(self, target: int, test: ast.expr, body: ast.expr, orelse: ast.expr) -> None:
        """`body if test else orelse`."""
        other, end = Label(), Label()
        self.jump(test, other, False)
        self.into(target, body)
        self.code.emit(Op.JUMP, target=end)
        self.code.place(other)
        self.into(target, orelse)
        self.code.place(end)

    def _truth(self, target: int, node: ast.expr) -> None:
        """1 where a condition holds, else 0."""
        self._choice(target, node, ast.Constant(1), ast.Constant(0))

    def jump(self, node: ast.expr, target: Label, when: bool) -> None:
        """Go on at `target` if the condition `node` is `when`, else behind."""
        value, top = self.constants.value(node), self.top
        if value is not None:
            if bool(value) == when:
                self.code.emit(Op.JUMP, target=target)
            return
        match node:
            case ast.UnaryOp(ast.Not(), operand):
                self.jump(operand, target, not when)
            case ast.BoolOp(op, values):
                self._junction(isinstance(op, ast.Or), values, target, when)
            case ast.Compare(left, ops, comparators):
                self._comparisons(node, ops, [left, *comparators], target, when)
            case ast.Call(ast.Name("confident"), [position, threshold], []):
                limit = Constant(self.constants.integer(ast.copy_location(limit_of(threshold), node)) or 0)
                spread = self.passing()
                self.code.emit(Op.SPREAD, spread, self.operand(position))
                self.code.emit(Op.JLT if when else Op.JGE, spread, limit, target=target)
            case ast.Call(ast.Name("any"), which, []):
                self._any(node, which, target, when)
            case ast.Call(ast.Name("is_eos"), [token], []):
                self._is_eos(token, target, when)
            case _:
                self.code.emit(Op.JNE if when else Op.JEQ, self.operand(node), Constant(0), target=target)
        self.top = top

    def _junction(self, decisive: bool, values: list[ast.expr], target: Label, when: bool) -> None:
        """`or` where one that holds is decisive, else `and`."""
        skip = Label()
        for value in values[:-1]:
            self.jump(value, target if when == decisive else skip, decisive)
        self.jump(values[-1], target, when)
        self.code.place(skip)

    def _comparisons(
        self, node: ast.expr, ops: list[ast.cmpop], parts: list[ast.expr], target: Label, when: bool
    ) -> None:
        """Of a chain every one must hold."""
        pairs = list(zip(ops, parts, parts[1:], strict=False))
        if len(pairs) > 1:
            single = [ast.copy_location(ast.Compare(left, [op], [right]), node) for op, left, right in pairs]
            self._junction(False, list(single), target, when)
            return
        op, first, second = pairs[0]
        if type(op) not in COMPARISONS:
            raise Refused(node, f"{ast.unparse(node):.40} is no comparison of the language; use ==, !=, <, <=, >, >=")
        left, right = self.operand(first), self.operand(second)
        if isinstance(op, ast.Gt | ast.LtE):
            left, right = right, left
        holds, fails = (Op.JEQ, Op.JNE) if isinstance(op, ast.Eq) else (Op.JNE, Op.JEQ)
        if isinstance(op, ast.Lt | ast.Gt | ast.LtE | ast.GtE):
            holds, fails = (Op.JLT, Op.JGE) if isinstance(op, ast.Lt | ast.Gt) else (Op.JGE, Op.JLT)
        self.code.emit(holds if when else fails, left, right, target=target)

    def which(self, node: ast.expr, names: list[ast.expr]) -> Which:
        """The positions that all of `names` name."""
        found = Which(0)
        for name in names:
            if not isinstance(name, ast.Name) or name.id not in WHICH:
                raise Refused(node, f"{ast.unparse(name):.40} names no positions; give some of {', '.join(WHICH)}")
            found |= WHICH[name.id]
        return found

    def _any(self, node: ast.expr, names: list[ast.expr], target: Label, when: bool) -> None:
        if self.scanning:
            raise Refused(node, "any() would begin the loop's scan anew; ask before the loop, or behind it")
        none = Label() if when else target
        self.code.emit(Op.BEGIN)
        self.code.emit(Op.SCAN, self.passing(), int(self.which(node, names) | Which.IN_ORDER), target=none)
        if when:
            self.code.emit(Op.JUMP, target=target)
            self.code.place(none)

    def _is_eos(self, node: ast.expr, target: Label, when: bool) -> None:
        token, skip = self.operand(node), Label()
        for end in self.ends if when else self.ends[:-1]:
            self.code.emit(Op.JEQ, token, Constant(end), target=target if when else skip)
        if not when:
            if self.ends:
                self.code.emit(Op.JNE, token, Constant(self.ends[-1]), target=target)
            else:
                self.code.emit(Op.JUMP, target=target)
            self.code.place(skip)


def limit_of(threshold: ast.expr) -> ast.Call:
    """The expression `limit(threshold)`."""
    return ast.Call(ast.Name("limit"), [threshold], [])
