"""Statements of a sampler's text as instructions."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from hardloom.golden.samplers.language.assembly import Constant, Label
from hardloom.golden.samplers.language.expressions import KEPT, WHICH, Expressions
from hardloom.golden.samplers.language.source import Refused, Unmet
from hardloom.golden.samplers.machine import SUPPRESSED, Op, Which

__all__ = ["RESERVED", "Statements"]

SCANS = {"by_confidence": Which(0), "in_order": Which.IN_ORDER}
RESERVED = {"prompt_length", "positions", "gen_length", "mask", "everything", *KEPT, *WHICH, "guess", "spread", "none"}
RESERVED |= {"suppressed"}
STATEMENTS = "assignments, if, while, for, break, continue, pass, block, predict, stop and require"


def assigned(body: Sequence[ast.stmt]) -> Counter[str]:
    """How often each name gets a value in some statements."""
    nodes = [node for statement in body for node in ast.walk(statement)]
    return Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a loop's body may end the loop, or the program."""
    for one in body:
        if isinstance(one, ast.Break) or is_call(one, "stop"):
            return True
        inner = [*getattr(one, "body", []), *getattr(one, "orelse", [])]
        if isinstance(one, ast.While | ast.For):
            inner = [node for node in ast.walk(one) if isinstance(node, ast.stmt) and is_call(node, "stop")]
        if leaves(inner):
            return True
    return False


def is_call(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Expr(ast.Call(ast.Name(called))):
            return called == name
    return False


@dataclass
class Statements(Expressions):
    """loops: where `continue` and `break` go, from the outermost loop; held: variables of `for` loops; suppressed:
    tokens that the sampler's own parameters suppress, the last ones."""

    loops: list[tuple[Label, Label]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    suppressed: int = 0

    def suppress(self, tokens: Sequence[int]) -> None:
        """From the first pass to the last, in the last words."""
        self.suppressed = len(tokens)
        for number, token in enumerate(tokens, SUPPRESSED - len(tokens)):
            self.code.emit(Op.HEAD, Constant(token), imm=number)

    def program(self, body: Sequence[ast.stmt]) -> None:
        """All statements. A name that gets a value once, on the top level, from what is known, is known behind it."""
        times, single = assigned(body), {}
        for one in body:
            match one:
                case ast.Assign([ast.Name(name)], value) if times[name] == 1 and name not in RESERVED:
                    single[name] = value
        self.constants.unset = set(single)
        for one in body:
            match one:
                case ast.Assign([ast.Name(name)], value) if name in single:
                    known = self.constants.value(value)
                    self.constants.unset.discard(name)
                    if known is None:
                        self.statement(one)
                    else:
                        self.define(one, name, known)
                case _:
                    self.statement(one)
        self.code.emit(Op.END)

    def define(self, node: ast.stmt, name: str, value: int | float) -> None:
        """A name for what is known."""
        self._check_name(node, name)
        self.constants.names[name] = value

    def body(self, statements: Sequence[ast.stmt]) -> None:
        for one in statements:
            self.statement(one)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign([target], value):
                self._assign(node, target, value)
            case ast.AugAssign(target, op, value):
                read = ast.copy_location(ast.BinOp(target, op, value), node)
                self._assign(node, target, read)
            case ast.If(test, body, orelse):
                self._if(test, body, orelse)
            case ast.While(test, body, []):
                self._while(node, test, body)
            case ast.For(ast.Name(name), ast.Call(ast.Name("range"), bounds, []), body, []) if 2 <= len(bounds) <= 3:
                self._range(node, name, bounds, body)
            case ast.For(ast.Name(name), ast.Call(ast.Name(order), which, []), body, []) if order in SCANS:
                self._scan(node, name, SCANS[order] | self.which(node.iter, which), body)
            case ast.For():
                raise Refused(node, "for runs over range(a, b), range(a, b, step), by_confidence(...) or in_order(...)")
            case ast.Break() | ast.Continue():
                self._leave(node)
            case ast.Pass():
                pass
            case ast.Expr(ast.Call(ast.Name(name), args, [])):
                self._call(node, name, args)
            case _:
                what = type(node).__name__.lower()
                raise Refused(node, f"{what} is no statement of the language; there are {STATEMENTS}")

    def _check_name(self, node: ast.stmt, name: str) -> None:
        if name in RESERVED or name in self.constants.names:
            raise Refused(node, f"{name} has a meaning already; choose another name")
        if name in self.held:
            raise Refused(node, f"{name} counts the loop; do not set it in there")

    def _assign(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        top = self.top
        match target:
            case ast.Name(name):
                self._check_name(node, name)
                if isinstance(node, ast.AugAssign):
                    self.variable(target)
                self.into(self.declare(name), value)
            case ast.Subscript(ast.Name(name), index) if name in KEPT:
                self.code.emit(KEPT[name], self.operand(value), self.operand(index))
            case ast.Subscript(ast.Name("suppressed"), index):
                self.code.emit(Op.HEAD, self.operand(value), imm=self._head_word(index))
            case _:
                what = f"{ast.unparse(target):.40} cannot be set"
                raise Refused(node, f"{what}; set a name, or {', '.join(f'{name}[p]' for name in KEPT)}")
        self.top = top

    def _head_word(self, index: ast.expr) -> int:
        """The number of a suppressed token, from those that `suppress_eos` leaves."""
        number, free = self.constants.integer(index), SUPPRESSED - self.suppressed
        if number is None or number >= free:
            what = f"suppressed[{ast.unparse(index):.40}] is none of the {SUPPRESSED}"
            raise Refused(index, f"{what}, of which suppress_eos has {self.suppressed}; give a number below {free}")
        return number

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        match body, orelse:
            case [ast.Break() | ast.Continue() as leave], []:
                self.jump(test, self._leaving(leave), True)
                return
        known = self.constants.value(test)
        if known is not None:
            self.body(body if known else orelse)
            return
        other, end = Label(), Label()
        self.jump(test, other, False)
        self.body(body)
        if orelse:
            self.code.emit(Op.JUMP, target=end)
        self.code.place(other)
        self.body(orelse)
        self.code.place(end)

    @contextmanager
    def _loop(self, again: Label, end: Label, scanning: bool | None = None) -> Iterator[None]:
        """The body of a loop."""
        before = self.scanning
        self.scanning = before if scanning is None else scanning
        self.loops.append((again, end))
        self.code.depth += 1
        yield
        self.code.depth -= 1
        self.loops.pop()
        self.scanning = before

    def _while(self, node: ast.stmt, test: ast.expr, body: list[ast.stmt]) -> None:
        known = self.constants.value(test)
        if known is not None and not known:
            return
        if known is not None and not leaves(body):
            raise Refused(node, "this loop never ends; give it a condition, a break or a stop()")
        start, again, end = Label(), Label(), Label()
        self.jump(test, end, False)
        self.code.place(start)
        with self._loop(again, end):
            self.body(body)
            self.code.place(again)
            self.jump(test, start, True)
        self.code.place(end)

    def _range(self, node: ast.stmt, name: str, bounds: list[ast.expr], body: list[ast.stmt]) -> None:
        """Behind the loop the name has the first value that was not taken."""
        step = self.constants.integer(bounds[2]) if len(bounds) == 3 else 1
        if not step:
            raise Refused(node, "the step of a range is not known beforehand, or 0; give a positive constant")
        self._check_name(node, name)
        top, place = self.top, self.declare(name)
        stop = self.operand(bounds[1])
        if isinstance(bounds[1], ast.Name) and (assigned(body) + Counter([name]))[bounds[1].id]:  # it stays as it was
            kept = self.passing()
            self.into(kept, bounds[1])
            stop = kept
        self.into(place, bounds[0])
        start, again, end = Label(), Label(), Label()
        known = self.constants.integer(bounds[0]), self.constants.integer(bounds[1])
        if None in known or not known[0] < known[1]:  # type: ignore[operator]
            self.code.emit(Op.JGE, place, stop, target=end)
        self.code.place(start)
        self.held.append(name)
        with self._loop(again, end):
            self.body(body)
            self.code.place(again)
            if step < 1 << 15:
                self.code.emit(Op.ADDI, place, place, imm=step)
            else:
                self.code.emit(Op.ADD, place, place, Constant(step))
            self.code.emit(Op.JLT, place, stop, target=start)
        self.held.pop()
        self.code.place(end)
        self.top = top

    def _scan(self, node: ast.stmt, name: str, which: Which, body: list[ast.stmt]) -> None:
        """Behind the loop the name has the position at which it ended."""
        if self.scanning:
            raise Refused(node, "a scan inside a scan is not in the language; use range and conditions for one of them")
        self._check_name(node, name)
        place, again, end = self.declare(name), Label(), Label()
        self.code.emit(Op.BEGIN)
        self.held.append(name)
        with self._loop(again, end, scanning=True):
            self.code.place(again)
            self.code.emit(Op.SCAN, place, int(which), target=end)
            self.body(body)
            self.code.emit(Op.JUMP, target=again)
        self.held.pop()
        self.code.place(end)

    def _leaving(self, node: ast.stmt) -> Label:
        if not self.loops:
            raise Refused(node, "there is no loop around it; use stop() to end the program")
        again, end = self.loops[-1]
        return end if isinstance(node, ast.Break) else again

    def _leave(self, node: ast.stmt) -> None:
        self.code.emit(Op.JUMP, target=self._leaving(node))

    def _call(self, node: ast.stmt, name: str, args: list[ast.expr]) -> None:
        top = self.top
        match name, args:
            case "block", [start, end]:
                self.code.emit(Op.BLOCK, self.operand(start), self.operand(end))
            case "predict", _ if self.scanning:
                raise Refused(node, "a pass would begin the loop's scan anew; predict before the loop, or behind it")
            case "predict", [ast.Name("masked" | "everything" as what)]:
                self.code.emit(Op.PREDICT, imm=int(what == "everything"))
            case "stop", []:
                self.code.emit(Op.END)
            case "require", [condition, ast.Constant() | ast.JoinedStr() as sentence]:
                self._require(node, condition, sentence)
            case _:
                calls = "block(start, end), predict(masked), predict(everything), stop(), require(condition, sentence)"
                raise Refused(node, f"{name}() is not called so here; there are {calls}")
        self.top = top

    def _require(self, node: ast.stmt, condition: ast.expr, sentence: ast.expr) -> None:
        holds = self.constants.value(condition)
        if holds is None:
            raise Refused(node, "require() is of what is known beforehand; use an if for the rest")
        if not holds:
            raise Unmet(self._sentence(sentence))

    def _sentence(self, node: ast.expr) -> str:
        match node:
            case ast.JoinedStr(values):
                return "".join(map(self._sentence, values))
            case ast.FormattedValue(value):
                return str(self.constants.value(value))
            case ast.Constant(str() as text):
                return text
        raise Refused(node, "require() wants a sentence in quotes; write one")
