"""The text of an array, out of which single cells are cut, and what instances in it are connected to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from hardloom.verif.crosscheck.parser import ast, parse
from hardloom.verif.crosscheck.values import Module, Word
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["ArrayText", "connected", "inputs_of", "instantiated", "signed"]

LONGEST_LINE = 1 << 12
"""Bytes that are kept before a piece, for the line in which a cell begins."""


@dataclass
class ArrayText:
    """An array's connection file, drawn as far as it is needed, and what it is of.

    Attributes
    ----------
    text: what is held of the file: all before the cells, and the cell that was looked for; rest: pieces behind.
    prefab: texts of the prefabricated files by name.
    inputs: of a row, and width: the bits of one; lanes: cells whose results leave at once; slices: steps of a bit
        plane, or addresses.
    """

    text: bytes
    prefab: Mapping[str, str]
    inputs: int
    lanes: int
    slices: int
    width: int
    rest: Iterator[bytes] = field(default_factory=lambda: iter(()))

    @property
    def limit(self) -> int:
        """Largest magnitude of an input."""
        return (1 << (self.width - 1)) - 1

    def cut(self, first: str, begin: str, ends: int = 1) -> ast.ModuleDef:
        """The statement that has `begin`, up to so many semicolons at ends of lines, as a module of its own.

        With it come the declarations, and what stands between the shell and the statement that has `first`. Raises
        ExtractionError where one of these is missing.
        """
        declared = self._find(");\n", 0) + 3
        shell = self._find(" shell (", declared)
        behind = self._find(");\n", shell) + 3
        cells = self._find(first, behind)
        start = end = self._find(begin, behind, self._find("\n", cells))
        for _ in range(ends):
            end = self._find(";\n", end) + 2
        pieces = ((declared, self._line(shell)), (behind, self._line(cells)), (self._line(start), end))
        statements = b"".join(self.text[start:end] for start, end in pieces).decode()
        return parse(f"module tile ();\n{statements}endmodule\n")

    def ring(self, first: str) -> int:
        """Neurons that take turns in a cell, all of whose modules are like that of the instance `first`."""
        at = self._find(f" {first} (", 0)
        module = self.text[self._line(at) : at].decode().strip()
        return len(Module(self.cell(module), lambda name: None).registers)

    def _line(self, at: int) -> int:
        """Where the line of a byte begins."""
        return self.text.rfind(b"\n", 0, at) + 1

    def _find(self, what: str, start: int, kept: int | None = None) -> int:
        """Where `what` is, from byte `start` on; `kept`: what lies between this byte and there may be dropped."""
        while (at := self.text.find(what.encode(), start)) < 0:
            piece = next(self.rest, None)
            if piece is None:
                raise ExtractionError(f"there is no{what}")
            if kept is not None:
                self.text = self.text[:kept] + self.text[max(kept, len(self.text) - LONGEST_LINE) :]
                start = kept
            self.text += piece
        return at

    def cell(self, name: str) -> ast.ModuleDef:
        """A prefabricated module. Raises ExtractionError where there is no file of it."""
        if f"{name}.v" not in self.prefab:
            raise ExtractionError(f"{name} is not among the prefabricated files")
        return parse(self.prefab[f"{name}.v"])


def signed(word: Word, stimuli: int) -> np.ndarray:
    """A word as a signed number in each of the stimuli: int64."""
    sign = word.values >> (word.width - 1)
    return np.broadcast_to(word.values - (sign << word.width), stimuli).astype(np.int64)


def connected(tile: Module, name: str, array: ArrayText) -> tuple[ast.ModuleDef, dict[str, ast.Node]]:
    """The module of instance `name` of a tile, and what its pins are connected to, by the names of the ports."""
    instance = next(instance for instance in tile.instances if instance.name == name)
    module = array.cell(instance.module)
    ports = [port.first.name for port in module.portlist.ports]
    pins = [pin.argname for pin in instance.portlist]
    if len(ports) != len(pins) or None in pins:
        raise ExtractionError(f"the pins of {name} are not the {len(ports)} ports of {instance.module}")
    return module, dict(zip(ports, pins, strict=True))


def inputs_of(module: ast.ModuleDef) -> set[str]:
    """Names of the ports that come in."""
    return {port.first.name for port in module.portlist.ports if isinstance(port.first, ast.Input)}


def instantiated(tile: Module, name: str, array: ArrayText) -> Module:
    """Instance `name` of a tile, its inputs given by what its pins are connected to."""
    module, pins = connected(tile, name, array)
    inputs = inputs_of(module)

    def given(port: str) -> Word | None:
        return Word(tile.width(pins[port]), tile.value(pins[port])) if port in inputs else None

    return Module(module, given)
