"""Every table that a chip's units have: which module holds it, and what its specification says is in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.engine.inventory import chip_parts
from hardloom.gen.text.constant_table import ConstantTable
from hardloom.gen.units.gumbel import NOISE_WIDTH, NoiseTable
from hardloom.gen.units.rope import Rope
from hardloom.gen.units.table import TableLookup
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.gumbel import TABLE
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.table import Table

__all__ = ["ChipTable", "chip_tables"]


@dataclass(frozen=True)
class ChipTable:
    """A table of one unit.

    Attributes
    ----------
    unit, module: names in the Verilog, without a build's prefix: what has an instance of the table, and the table.
    expected: int64 [words, fields].
    width, signed: of an element of a word as its constant module has them.
    arranged: brings words, int64 of `shape` [words, elements of one], to the shape of `expected`.
    """

    unit: str
    module: str
    expected: np.ndarray = field(repr=False)
    width: int
    signed: bool
    arranged: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    shape: tuple[int, int]


def _interpolation(unit: str, module: str, table: Table) -> ChipTable:
    """Word: the segment's start, unsigned, and above it the signed difference to the next one."""
    base, delta = max(table.points).bit_length(), max(abs(step) for step in table.delta).bit_length() + 1

    def arranged(words: np.ndarray) -> np.ndarray:
        start, step = words[:, 0] & ((1 << base) - 1), words[:, 0] >> base
        return np.stack([start, step - ((step >> (delta - 1)) << delta)], axis=1)

    expected = np.array([table.base, table.delta], dtype=np.int64).T
    return ChipTable(unit, module, expected, base + delta, False, arranged, (len(expected), 1))


def _angles(unit: str, module: str, rope: Rope) -> ChipTable:
    """Word: cosines of `lanes` pairs, and above them their sines."""
    parts = [angles.reshape(-1, rope.lanes) for angles in rope.spec.angles(rope.max_positions)]
    words = torch.cat(parts, 1).numpy()
    return ChipTable(unit, module, words, rope.spec.frac + 2, True, lambda words: words, (len(words), words.shape[1]))


def _noise(unit: str, module: str) -> ChipTable:
    """Word: the noise, signed."""
    words = np.array(TABLE, dtype=np.int64)[:, None]
    return ChipTable(unit, module, words, NOISE_WIDTH, True, lambda found: found, (len(TABLE), 1))


def chip_tables(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, top: str) -> Iterator[ChipTable]:
    """The table of every unit of a chip, Verilog module `top`, that has one; many units share a module."""
    found = list(chip_parts(model, numerics, hardware, top))
    modules = {(part.top, part.path[:-1]): part.thing.module for part in found if isinstance(part.thing, ConstantTable)}
    for part in found:
        if isinstance(part.thing, TableLookup):
            yield _interpolation(part.module, modules[part.top, part.path], part.thing.table)
        elif isinstance(part.thing, NoiseTable):
            yield _noise(part.module, modules[part.top, part.path])
        elif isinstance(part.thing, Rope):
            yield _angles(part.module, modules[part.top, part.path], part.thing)
