"""Weights of single cells of an array, by style: a cell is cut out of the array's text and computed, input by input."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hardloom.verif.crosscheck.addressed import Addressed
from hardloom.verif.crosscheck.array_text import ArrayText, connected, instantiated, signed
from hardloom.verif.crosscheck.parser import ast
from hardloom.verif.crosscheck.values import Module, Word
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["READERS", "CellWeights"]

INPUTS_AT_ONCE, ADDRESSES_AT_ONCE = 2048, 512
FEEDS_READ = 1 << 12
"""Wires of a counting cell, of either sign, that are tried one by one, or those of one neuron where it has more."""

FEED, SLOT = re.compile(r"[pn]\d+"), re.compile(r"s\d+")


@dataclass(frozen=True)
class CellWeights:
    """rows: of the array, of the neurons that take turns in a cell; weights: int64 [neurons, inputs]."""

    rows: np.ndarray
    weights: np.ndarray


def one_hot(count: int, place: int) -> np.ndarray:
    values = np.zeros(count, dtype=np.int64)
    values[place] = 1
    return values


def rows_of(cell: int, fold: int, lanes: int) -> np.ndarray:
    """Rows of the neurons of a cell, in the order of their turns."""
    rank, lane = divmod(cell, lanes)
    return lane + lanes * (fold * rank + np.arange(fold))


def turns_of(row: int, fold: int, lanes: int, inputs: int) -> np.ndarray:
    """Turns, ascending, of the neurons of a cell that are read: that of `row` and some behind it, round the ring."""
    first, count = row // lanes % fold, min(fold, max(1, FEEDS_READ // inputs))
    return np.sort((first + np.arange(count)) % fold)


def read_counting(array: ArrayText, bank: int, row: int) -> CellWeights:
    """A neuron cell that counts bits of all inputs (styles `metal` and `packed`): its neurons, or some of many."""
    fold, steps = array.ring("neuron_0_0"), array.slices
    cell = row // (array.lanes * fold) * array.lanes + row % array.lanes
    name = f"neuron_{bank}_{cell}"
    module = array.cut(" neuron_0_0 (", f" {name} (")
    every = np.arange(array.inputs * fold)
    step = every // fold % (steps // fold) * fold + every % fold
    turns = turns_of(row, fold, array.lanes, array.inputs)
    feeds = np.add.outer(fold * np.arange(array.inputs), turns).reshape(-1)
    _, pins = connected(Module(module, lambda name: None), name, array)
    check_steps(pins, step, steps)
    counted = {}
    for sign in "pn":
        parts = []
        for start in range(0, len(feeds), INPUTS_AT_ONCE):
            some = feeds[start : start + INPUTS_AT_ONCE]
            active = {f"{sign}{v}": one_hot(len(some), k) for k, v in enumerate(some)}
            parts.append(count(array, module, name, active, len(some)))
        counted[sign] = np.concatenate(parts)
    active = {f"{sign}{v}": one_hot(steps, step[v]) for v in feeds for sign in "pn"}
    together = count(array, module, name, active, steps)
    if not np.array_equal(together, np.bincount(step[feeds], counted["p"] + counted["n"], steps)):
        raise ExtractionError(f"{name}: wires of one step do not add up")
    weights = (counted["p"] - counted["n"]).reshape(array.inputs, len(turns)).T
    return CellWeights(rows_of(cell, fold, array.lanes)[turns], weights)


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
    parts, addresses = [], np.arange(array.slices)
    for some in np.array_split(addresses, -(-len(addresses) // ADDRESSES_AT_ONCE)):
        addressed = Addressed(array, module, name, some, columns)
        once = np.stack([addressed.products(1, column) for column in range(columns)], axis=-1)
        again = np.stack([addressed.products(-array.limit, column) for column in range(columns)], axis=-1)
        if not np.array_equal(again, -array.limit * once):
            raise ExtractionError(f"{name}: does not multiply -{array.limit} as it multiplies 1")
        parts.append(once)
    by_turn = np.concatenate(parts).reshape(-1, fold, columns).transpose(1, 0, 2).reshape(fold, array.inputs)
    return CellWeights(rows_of(unit, fold, array.lanes), by_turn)


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
