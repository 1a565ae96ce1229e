"""Every table that a chip's units hold: where it is, and what its specification says is in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from amaranth.lib.memory import Memory

from gen.design.hardware import HardwareConfig
from gen.engine.inventory import chip_parts
from gen.units.rope import Rope
from gen.units.table import TableLookup
from golden.shape import ModelShape
from golden.units.numerics import Numerics
from golden.units.table import Table
from verif.extract.errors import ExtractionError
from verif.extract.tables import InitialMemory, read_memories

__all__ = ["ChipTable", "chip_tables", "initial_values"]


@dataclass(frozen=True)
class ChipTable:
    """A memory in one module.

    Attributes
    ----------
    module, memory: names in the Verilog; the module's file has its name.
    expected: int64 [words, fields].
    widths: bits of the first fields (the last one takes the rest of the word); signed: of each field.
    """

    module: str
    memory: str
    expected: np.ndarray = field(repr=False)
    widths: tuple[int, ...] = field(repr=False)
    signed: tuple[bool, ...] = field(repr=False)

    def read(self, text: str) -> np.ndarray:
        """What the module in `text` holds, int64 [words, fields]; raises ExtractionError."""
        memories = read_memories(text)
        if self.memory not in memories:
            raise ExtractionError(f"there is no memory {self.memory}")
        memory: InitialMemory = memories[self.memory]
        widths = (*self.widths, max(1, memory.width - sum(self.widths)))
        return memory.fields(list(zip(widths, self.signed, strict=True)))


def initial_values(text: str) -> np.ndarray:
    """Words that the memories of a module start with, where it holds no table and so should have neither: int64 [n].

    Raises ExtractionError where a memory starts with nothing.
    """
    words = [word for memory in read_memories(text).values() for word in memory.words]
    return np.array([word & 0xFFFFFFFF for word in words], dtype=np.int64)


def _interpolation(table: Table) -> tuple[np.ndarray, tuple[int, ...], tuple[bool, ...]]:
    """Word: the segment's start, unsigned, and above it the signed difference to the next one."""
    expected = np.array([table.base, table.delta], dtype=np.int64).T
    return expected, (max(table.points).bit_length(),), (False, True)


def _angles(rope: Rope) -> tuple[np.ndarray, tuple[int, ...], tuple[bool, ...]]:
    """Word: cosines of `lanes` pairs, and above them their sines."""
    parts = [angles.reshape(-1, rope.lanes) for angles in rope.spec.angles(rope.max_positions)]
    fields, width = 2 * rope.lanes, rope.spec.frac + 2
    return torch.cat(parts, 1).numpy(), (width,) * (fields - 1), (True,) * fields


def chip_tables(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, top: str) -> Iterator[ChipTable]:
    """All tables of a chip, those around the layers (in modules of `top`) first: wherever a unit has one."""
    found = list(chip_parts(model, numerics, hardware, top))
    memories = {(part.top, part.path[:-1]): part.path[-1] for part in found if isinstance(part.thing, Memory)}
    for part in found:
        if isinstance(part.thing, TableLookup):
            yield ChipTable(part.module, memories[part.top, part.path], *_interpolation(part.thing.table))
        elif isinstance(part.thing, Rope):
            yield ChipTable(part.module, memories[part.top, part.path], *_angles(part.thing))
