"""What the expressions of a parsed module are worth, by the rules of Verilog, for many stimuli at once."""

import re
from collections.abc import Callable, Sequence
from operator import add, and_, mul, or_, sub, xor
from typing import NamedTuple

import numpy as np

from hardloom.verif.crosscheck.parser import ast
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Module", "Word"]

FAST = 62
"""Bits of a word that is computed in int64; wider ones are Python's integers."""

CONSTANT = re.compile(r"\d+|\d+'s?(?:b[01]+|d\d+)")

BINARY: dict[type, Callable] = {
    ast.Plus: add, ast.Minus: sub, ast.Times: mul, ast.And: and_, ast.Or: or_, ast.Xor: xor
}  # fmt: skip
SHIFTS = (ast.Sll, ast.Sla)
LINKS = (*BINARY, *SHIFTS)


class Word(NamedTuple):
    """Bits of a signal, and its values as unsigned integers: [stimuli], or [1] where they are all the same."""

    width: int
    values: np.ndarray


class Module:
    """A parsed module, some of whose signals are given; registers hold 0.

    given: word of a signal by its name, or None where something in the module drives it. It is asked once a name.
    """

    def __init__(self, module: ast.ModuleDef, given: Callable[[str], Word | None]) -> None:
        self.name, self.given = module.name, given
        self.widths: dict[str, int] = {}
        self.registers: list[str] = []
        self.signed: set[str] = set()
        self.drivers: dict[str, list[tuple[int, int, ast.Node]]] = {}
        self.always: list[ast.Always] = []
        self.instances: list[ast.Instance] = []
        self.known: dict[str, np.ndarray] = {}
        self.octets: dict[str, np.ndarray] = {}
        self.sizes: dict[int, int] = {}
        for port in module.portlist.ports:
            self._declare(port.first)
        for item in module.items:
            self._item(item)

    def _item(self, item: ast.Node) -> None:
        if isinstance(item, ast.Decl):
            for part in item.list:
                self._item(part)
        elif isinstance(item, ast.Assign):
            self._assign(item.left.var, item.right.var)
        elif isinstance(item, ast.Always):
            self.always.append(item)
        elif isinstance(item, ast.InstanceList):
            self.instances += item.instances
        else:
            self._declare(item)
            if isinstance(item, ast.Reg):
                self.registers.append(item.name)

    def _declare(self, signal: ast.Node) -> None:
        msb = 0 if signal.width is None else _number(signal.width.msb)
        self.widths[signal.name] = msb + 1
        if signal.signed:
            self.signed.add(signal.name)

    def _assign(self, left: ast.Node, right: ast.Node) -> None:
        if isinstance(left, ast.Partselect):
            name, highest, lowest = left.var.name, _number(left.msb), _number(left.lsb)
        else:
            name, highest, lowest = left.name, self.widths[left.name] - 1, 0
        self.drivers.setdefault(name, []).append((highest, lowest, right))

    def signal(self, name: str) -> Word:
        """The word of a signal. Raises ExtractionError where nothing drives it."""
        width = self._declared(name)
        if name not in self.known:
            self.known[name] = self._drive(name)
        return Word(width, self.known[name])

    def _declared(self, name: str) -> int:
        """Bits of a signal."""
        if name not in self.widths:
            raise ExtractionError(f"{self.name}: {name} is not declared")
        return self.widths[name]

    def _drive(self, name: str) -> np.ndarray:
        if (word := self.given(name)) is not None:
            if word.width != self.widths[name]:
                raise ExtractionError(f"{self.name}: {name} has {self.widths[name]} bits, not {word.width}")
            return word.values
        if name in self.registers:
            return np.zeros(1, dtype=np.int64)
        if name not in self.drivers:
            raise ExtractionError(f"{self.name}: nothing drives {name}")
        parts = []
        for highest, lowest, right in self.drivers[name]:
            bits = highest - lowest + 1
            parts.append((lowest, bits, self.value(right, bits) & ((1 << bits) - 1)))
        return joined(parts, self.widths[name])

    def width(self, node: ast.Node) -> int:
        """Bits of an expression that stands alone."""
        if id(node) not in self.sizes:
            self.sizes[id(node)] = self._size(node)
        return self.sizes[id(node)]

    def _size(self, node: ast.Node) -> int:
        widths = []
        while isinstance(node, LINKS):
            if not isinstance(node, SHIFTS):
                widths.append(self.width(node.right))
            node = node.left
        if isinstance(node, ast.Identifier):
            widths.append(self._declared(node.name))
        elif isinstance(node, ast.IntConst):
            widths.append(_constant(node)[0])
        elif isinstance(node, ast.Partselect):
            widths.append(_number(node.msb) - _number(node.lsb) + 1)
        elif isinstance(node, ast.Concat):
            widths.append(sum(self.width(part) for part in node.list))
        elif isinstance(node, ast.Repeat):
            widths.append(_number(node.times) * self.width(node.value))
        elif isinstance(node, ast.Cond):
            widths.append(max(self.width(node.true_value), self.width(node.false_value)))
        elif isinstance(node, ast.Unot):
            widths.append(self.width(node.right))
        else:  # one bit of a word, or a truth
            widths.append(1)
        return max(widths)

    def value(self, node: ast.Node, width: int | None = None) -> np.ndarray:
        """An expression in a context of `width` bits, its own by default: every operand has that many.

        Sums of many terms are deep to the left: that way is a loop.
        """
        width = max(width or 0, self.width(node))
        links = []
        while isinstance(node, LINKS):
            links.append(node)
            node = node.left
        total = self._operand(node, width)
        for link in reversed(links):
            if isinstance(link, SHIFTS):
                total = total << _number(link.right)
            else:
                total = BINARY[type(link)](total, self.value(link.right, width))
            total = total & ((1 << width) - 1)
        return total

    def _operand(self, node: ast.Node, width: int) -> np.ndarray:
        if isinstance(node, ast.Identifier):
            value = self.signal(node.name).values
            if node.name in self.signed and width > self.widths[node.name]:
                raise ExtractionError(f"{self.name}: extends {node.name}, which is signed")
        elif isinstance(node, ast.IntConst):
            value = np.array([_constant(node)[1]], dtype=object)
        elif isinstance(node, ast.Pointer):
            value = self._part(node.var.name, _number(node.ptr), 1)
        elif isinstance(node, ast.Partselect):
            value = self._part(node.var.name, _number(node.lsb), self.width(node))
        elif isinstance(node, ast.Concat):
            parts, lowest = [], 0
            for part in reversed(node.list):
                parts.append((lowest, self.width(part), self.value(part)))
                lowest += self.width(part)
            value = joined(parts, lowest)
        elif isinstance(node, ast.Repeat):
            ones = sum(1 << self.width(node.value) * k for k in range(_number(node.times)))
            value = self.value(node.value).astype(object) * ones
        elif isinstance(node, ast.Cond):
            value = self.value(node.true_value if self.truth(node.cond) else node.false_value, width)
        elif isinstance(node, ast.Unot):
            value = self.value(node.right, width) ^ ((1 << width) - 1)
        elif isinstance(node, ast.Ulnot):
            value = np.array([not self.truth(node.right)])
        else:
            raise ExtractionError(f"{self.name}: computes {type(node).__name__}")
        return value.astype(np.int64 if width <= FAST else object, copy=False)

    def _part(self, name: str, lowest: int, bits: int) -> np.ndarray:
        """Some bits of a signal. Of a wide one by its bytes: shifting all of it for each part would take long."""
        values = self.signal(name).values
        if values.dtype != object or bits > 56:
            return values >> lowest & ((1 << bits) - 1)
        if name not in self.octets:
            self.octets[name] = octets_of(values, self.widths[name] // 8 + 8)
        first, shift = divmod(lowest, 8)
        window = np.ascontiguousarray(self.octets[name][:, first : first + 8]).view("<u8")[:, 0]
        return (window >> np.uint64(shift) & np.uint64((1 << bits) - 1)).astype(np.int64)

    def truth(self, node: ast.Node) -> bool:
        """Whether an expression is not 0. Raises ExtractionError where that differs between stimuli."""
        true = self.value(node) != 0
        if true.all() != true.any():
            raise ExtractionError(f"{self.name}: a condition differs between stimuli")
        return bool(true.all())

    def next(self, register: str) -> Word:
        """What a register holds after the clock edge. Raises ExtractionError where it is not assigned."""
        found: dict[str, np.ndarray] = {}
        for always in self.always:
            self._run(always.statement, register, found)
        if register not in found:
            raise ExtractionError(f"{self.name}: {register} is not assigned")
        width = self.widths[register]
        return Word(width, found[register] & ((1 << width) - 1))

    def _run(self, statement: ast.Node | None, register: str, found: dict[str, np.ndarray]) -> None:
        if isinstance(statement, ast.Block):
            for part in statement.statements:
                self._run(part, register, found)
        elif isinstance(statement, ast.IfStatement):
            taken = statement.true_statement if self.truth(statement.cond) else statement.false_statement
            self._run(taken, register, found)
        elif isinstance(statement, ast.NonblockingSubstitution):
            if statement.left.var.name == register:
                found[register] = self.value(statement.right.var, self.widths[register])
        elif statement is not None:
            raise ExtractionError(f"{self.name}: does {type(statement).__name__}")


def octets_of(values: np.ndarray, count: int) -> np.ndarray:
    """Bytes of unsigned integers of any width, the lowest first: uint8 [stimuli, count]."""
    if count <= 7:
        return np.ascontiguousarray(values.astype("<i8")[:, None]).view(np.uint8)[:, :count]
    text = b"".join(int(value).to_bytes(count, "little") for value in values)
    return np.frombuffer(text, dtype=np.uint8).reshape(len(values), count)


def joined(parts: Sequence[tuple[int, int, np.ndarray]], width: int) -> np.ndarray:
    """A word of `width` bits, of parts (lowest bit, bits, values): int64, or Python's integers where it is wide."""
    if width <= FAST:
        narrow = np.zeros(1, dtype=np.int64)
        for lowest, _, values in parts:
            narrow = narrow | values.astype(np.int64, copy=False) << lowest
        return narrow
    word = np.zeros((max((len(values) for *_, values in parts), default=1), width), dtype=np.uint8)
    for lowest, bits, values in parts:
        found = np.unpackbits(octets_of(values, -(-bits // 8)), axis=1, count=bits, bitorder="little")
        word[:, lowest : lowest + bits] |= found
    octets = np.packbits(word, axis=1, bitorder="little")
    return np.array([int.from_bytes(row.tobytes(), "little") for row in octets], dtype=object)


def _number(node: ast.Node) -> int:
    return _constant(node)[1]


def _constant(node: ast.Node) -> tuple[int, int]:
    """Bits and value of a decimal or binary number, which must fit; 32 bits where it has no size."""
    if not isinstance(node, ast.IntConst) or not CONSTANT.fullmatch(node.value):
        raise ExtractionError(f"not a decimal or binary number: {getattr(node, 'value', node)}")
    size, _, number = node.value.rpartition("'")
    number = number.removeprefix("s") if size else f"d{number}"
    bits, value = int(size or 32), int(number[1:], {"b": 2, "d": 10}[number[0]])
    if value >> bits:
        raise ExtractionError(f"more than its {bits} bits: {node.value}")
    return bits, value
