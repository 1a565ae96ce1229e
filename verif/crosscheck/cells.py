"""Weights of single cells of an array, by style: a cell is cut out of the array's text and computed, input by input."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from verif.crosscheck.parser import ast, parse
from verif.crosscheck.values import Module, Word
from verif.extract.errors import ExtractionError

__all__ = ["READERS", "ArrayText", "CellWeights"]

INPUTS_AT_ONCE, PLACES_AT_ONCE = 2048, 512
LONGEST_LINE = 1 << 12
"""Bytes that are kept before a piece, for the line in which a cell begins."""
FEED, SLOT = re.compile(r"[pn]\d+"), re.compile(r"s\d+")


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


@dataclass(frozen=True)
class CellWeights:
    """rows: of the array, of the neurons that take turns in a cell; weights: int64 [neurons, inputs]."""

    rows: np.ndarray
    weights: np.ndarray


def one_hot(count: int, place: int) -> np.ndarray:
    values = np.zeros(count, dtype=np.int64)
    values[place] = 1
    return values


def signed(word: Word, stimuli: int) -> np.ndarray:
    """A word as a signed number in each of the stimuli: int64."""
    sign = word.values >> (word.width - 1)
    return np.broadcast_to(word.values - (sign << word.width), stimuli).astype(np.int64)


def connected(tile: Module, name: str, array: ArrayText) -> dict[str, ast.Node]:
    """What the pins of instance `name` of a tile are connected to, by the names of its module's ports."""
    instance = next(instance for instance in tile.instances if instance.name == name)
    ports = [port.first.name for port in array.cell(instance.module).portlist.ports]
    pins = [pin.argname for pin in instance.portlist]
    if len(ports) != len(pins) or None in pins:
        raise ExtractionError(f"the pins of {name} are not the {len(ports)} ports of {instance.module}")
    return dict(zip(ports, pins, strict=True))


def instantiated(tile: Module, name: str, array: ArrayText) -> Module:
    """Instance `name` of a tile, its inputs given by what its pins are connected to."""
    pins = connected(tile, name, array)
    module = array.cell(next(instance.module for instance in tile.instances if instance.name == name))
    inputs = {port.first.name for port in module.portlist.ports if isinstance(port.first, ast.Input)}

    def given(port: str) -> Word | None:
        return Word(tile.width(pins[port]), tile.value(pins[port])) if port in inputs else None

    return Module(module, given)


def rows_of(cell: int, fold: int, lanes: int) -> np.ndarray:
    """Rows of the neurons of a cell, in the order of their turns."""
    rank, lane = divmod(cell, lanes)
    return lane + lanes * (fold * rank + np.arange(fold))


def read_counting(array: ArrayText, bank: int, row: int) -> CellWeights:
    """A neuron cell that counts bits of all inputs (styles `metal` and `packed`)."""
    fold, steps = array.ring("neuron_0_0"), array.slices
    cell = row // (array.lanes * fold) * array.lanes + row % array.lanes
    name = f"neuron_{bank}_{cell}"
    module = array.cut(" neuron_0_0 (", f" {name} (")
    feeds = np.arange(array.inputs * fold)
    step = feeds // fold % (steps // fold) * fold + feeds % fold
    check_steps(connected(Module(module, lambda name: None), name, array), step, steps)
    counted = {}
    for sign in "pn":
        parts = []
        for start in range(0, len(feeds), INPUTS_AT_ONCE):
            some = feeds[start : start + INPUTS_AT_ONCE]
            active = {f"{sign}{v}": one_hot(len(some), k) for k, v in enumerate(some)}
            parts.append(count(array, module, name, active, len(some)))
        counted[sign] = np.concatenate(parts)
    every = {f"{sign}{v}": one_hot(steps, step[v]) for v in feeds for sign in "pn"}
    together = count(array, module, name, every, steps)
    if not np.array_equal(together, np.bincount(step, counted["p"] + counted["n"], steps)):
        raise ExtractionError(f"{name}: wires of one step do not add up")
    weights = (counted["p"] - counted["n"]).reshape(array.inputs, fold).T
    return CellWeights(rows_of(cell, fold, array.lanes), weights)


def check_steps(pins: Mapping[str, ast.Node], step: np.ndarray, steps: int) -> None:
    """Raises ExtractionError where a feed is in a slot of another step, or is none. step: of every feed."""
    for port, wire in pins.items():
        if SLOT.fullmatch(port) and isinstance(wire, ast.Identifier) and FEED.fullmatch(wire.name):
            feed = int(wire.name[1:])
            if feed >= len(step) or step[feed] != int(port[1:]) % steps:
                raise ExtractionError(f"{wire.name} is in {port}, a slot of another step")


def count(
    array: ArrayText, module: ast.ModuleDef, name: str, active: Mapping[str, np.ndarray], stimuli: int
) -> np.ndarray:
    """What a neuron cell adds in each of the stimuli, int64; `active`: values of the feeds that are not always 0.

    A step of the first plane ends one bit an input's other bits above the lowest one of the sum.
    """

    def given(wire: str) -> Word | None:
        if FEED.fullmatch(wire) or wire in ("core_clk", "clear", "drain", "shift", "negate"):
            return Word(1, active.get(wire, np.zeros(1, dtype=np.int64)))
        return None

    after = instantiated(Module(module, given), name, array).next("r0")
    return np.broadcast_to(after.values >> (array.width - 1), stimuli).astype(np.int64)


def read_multiplying(array: ArrayText, bank: int, row: int) -> CellWeights:
    """A unit that multiplies some inputs by what an address tells (styles `rom` and `shared`)."""
    fold = array.ring("mac_0_0")
    unit = row // (array.lanes * fold) * array.lanes + row % array.lanes
    name, columns = f"mac_{bank}_{unit}", array.inputs * fold // array.slices
    module = array.cut(" mac_0_0 (", f" {name} (")
    parts, places = [], np.arange(array.slices * columns)
    for some in np.array_split(places, -(-len(places) // PLACES_AT_ONCE)):
        part = products(array, module, name, 1, *np.divmod(some, columns), columns)
        again = products(array, module, name, -array.limit, *np.divmod(some, columns), columns)
        if not np.array_equal(again, -array.limit * part):
            raise ExtractionError(f"{name}: does not multiply -{array.limit} as it multiplies 1")
        parts.append(part)
    by_turn = np.concatenate(parts).reshape(-1, fold, columns).transpose(1, 0, 2).reshape(fold, array.inputs)
    return CellWeights(rows_of(unit, fold, array.lanes), by_turn)


def products(
    array: ArrayText, module: ast.ModuleDef, name: str, x: int, address: np.ndarray, column: np.ndarray, columns: int
) -> np.ndarray:
    """What unit `name` of `columns` inputs adds at each `address`, its inputs being `x` in the `column` that goes with
    it and 0 in the others: int64, as long as these."""

    def given(wire: str) -> Word | None:
        if wire in ("core_clk", "drain"):
            return Word(1, np.zeros(1, dtype=np.int64))
        if wire == "xs":
            return Word(columns, (x < 0) * (1 << column.astype(object)))
        if wire[0] == "x":
            odd = int(wire[1:])
            bits = (array.limit * odd).bit_length()
            return Word(columns * bits, odd * abs(x) << (bits * column.astype(object)))
        return Word(1, (address == int(wire[1:])).astype(np.int64)) if wire[0] == "a" else shared(wire)

    def shared(wire: str) -> Word | None:
        """A wire that another instance of the tile drives."""
        for instance in tile.instances:
            output = instance.portlist[-1].argname
            if instance.name != name and isinstance(output, ast.Identifier) and output.name == wire:
                other = instantiated(tile, instance.name, array)
                return other.signal(array.cell(instance.module).portlist.ports[-1].first.name)
        return None

    tile = Module(module, given)
    return signed(instantiated(tile, name, array).next("r0"), len(address))


def read_adding(array: ArrayText, bank: int, row: int) -> CellWeights:
    """A row of shift-adds (style `cell`)."""
    acc = f"a_{bank}_{row}"
    module = array.cut("always @", f"    always @(posedge core_clk)\n        if (!take) {acc} <=", ends=2)

    def sums(x: int) -> np.ndarray:
        """What the row adds for each input, that being `x` and the others 0: int64 [inputs]."""

        def given(wire: str) -> Word | None:
            if wire == "take":
                return Word(1, np.ones(1, dtype=np.int64))
            if wire[0] != "x":
                return None
            width = tile.widths[wire]
            return Word(width, (x & ((1 << width) - 1)) * one_hot(array.inputs, int(wire[1:])))

        tile = Module(module, given)
        return signed(tile.next(acc), array.inputs)

    weights = sums(1)
    if not np.array_equal(sums(-array.limit), -array.limit * weights):
        raise ExtractionError(f"{acc}: does not multiply -{array.limit} as it multiplies 1")
    return CellWeights(np.array([row]), weights[None])


READERS: dict[str, Callable[[ArrayText, int, int], CellWeights]] = {
    "metal": read_counting,
    "packed": read_counting,
    "rom": read_multiplying,
    "shared": read_multiplying,
    "cell": read_adding,
}
"""By style: weights of the cell of a bank that a row is in. Raise ExtractionError where the text is no such cell."""
