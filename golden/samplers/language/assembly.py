"""Instructions with labels and constants in place of addresses and registers, and the program that they become."""

from collections import Counter
from dataclasses import dataclass, field, replace

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.machine import POSITIONS, REGISTERS, Instruction, Op

__all__ = ["FIRST_VARIABLE", "Assembly", "Constant", "Label", "Operand"]

FIRST_VARIABLE = POSITIONS + 1

LOOP_WEIGHT = 8
"""How often a loop's body is thought to run: constants of inner loops have the registers first."""


@dataclass(frozen=True)
class Constant:
    """A value that an instruction wants in a register."""

    value: int


Operand = int | Constant


@dataclass(eq=False)
class Label:
    """A place in the program; `at` counts lines and is set when it is placed; used: some jump goes there."""

    at: int | None = None
    used: bool = False


@dataclass(frozen=True)
class Line:
    """An instruction to be: registers or constants, and a label where `imm` is an address. c: the third register."""

    op: Op
    a: Operand = 0
    b: Operand = 0
    c: Operand | None = None
    imm: int = 0
    target: Label | None = None
    depth: int = 0

    @property
    def constants(self) -> set[Constant]:
        return {part for part in (self.a, self.b, self.c) if isinstance(part, Constant)}


def load(register: int, value: int) -> list[Instruction]:
    """Instructions after which `register` has a value of 32 bits."""
    upper = [Instruction(Op.UPPER, register, 0, value >> 16)] if value >> 16 else []
    return [Instruction(Op.SET, register, 0, value & 0xFFFF), *upper]


@dataclass
class Assembly:
    """Lines of a program as they are made; depth: of the loop in which the next one is; reached: it can be."""

    lines: list[Line] = field(default_factory=list)
    depth: int = 0
    reached: bool = True

    def emit(
        self,
        op: Op,
        a: Operand = 0,
        b: Operand = 0,
        c: Operand | None = None,
        imm: int = 0,
        target: Label | None = None,
    ) -> None:
        """Append an instruction; nothing where no path comes to it."""
        if self.reached:
            self.lines.append(Line(op, a, b, c, imm, target, self.depth))
            self.reached = op not in (Op.JUMP, Op.END)
            if target is not None:
                target.used = True

    def load(self, register: int, value: int) -> None:
        """Register = value."""
        for one in load(register, value):
            self.emit(one.op, one.a, imm=one.imm)

    def place(self, label: Label) -> None:
        """The next instruction is where the label is."""
        label.at = len(self.lines)
        self.reached |= label.used

    def finish(self, variables: int, lowest: int, label: str) -> list[Instruction]:
        """The program.

        variables: the first register that is none; lowest: the lowest one that a passing value has. Constants have
        those between for good, the most used first, or, where these are too few, two in turns. Raises `UserError` where
        there are not even these.
        """
        free, wanted = lowest - variables, self._weights()
        kept = min(len(wanted), free if len(wanted) <= free else free - 2)
        if free < 0 or kept < 0:
            raise UserError(
                f"{label}: variables and passing values want more than the {REGISTERS} registers; use fewer names"
            )
        homes = {constant: variables + number for number, constant in enumerate(wanted[:kept])}
        start = [one for constant, register in homes.items() for one in load(register, constant.value)]
        lines = [self._threaded(line) for line in self.lines]
        parts = [self._expand(line, homes, lowest - 2) for line in lines]
        address = [len(start)]
        for part in parts:
            address.append(address[-1] + len(part))
        for line, part in zip(lines, parts, strict=True):
            if line.target is not None:
                assert line.target.at is not None  # every label is placed
                part[-1] = replace(part[-1], imm=address[line.target.at])
        return start + [one for part in parts for one in part]

    def _weights(self) -> list[Constant]:
        """Constants, those first that are met most often."""
        weights: Counter[Constant] = Counter()
        for line in self.lines:
            for constant in line.constants:
                weights[constant] += LOOP_WEIGHT**line.depth
        return sorted(weights, key=lambda constant: (-weights[constant], constant.value))

    def _threaded(self, line: Line) -> Line:
        """A jump to a jump goes where that one goes."""
        target, seen = line.target, set()
        while target is not None and target not in seen and target.at is not None and target.at < len(self.lines):
            seen.add(target)
            there = self.lines[target.at]
            if there.op is not Op.JUMP:
                break
            target = there.target
        return replace(line, target=target)

    @staticmethod
    def _expand(line: Line, homes: dict[Constant, int], spare: int) -> list[Instruction]:
        """A line as instructions; constants without a home are loaded into the spare registers."""
        away = sorted(line.constants - homes.keys(), key=lambda constant: constant.value)
        where = homes | {constant: spare + number for number, constant in enumerate(away)}
        a, b, c = (where[part] if isinstance(part, Constant) else part for part in (line.a, line.b, line.c))
        loads = [one for constant in away for one in load(where[constant], constant.value)]
        return [*loads, Instruction(line.op, int(a or 0), int(b or 0), line.imm if c is None else c)]
