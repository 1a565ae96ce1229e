"""Every table that a chip's units hold: where it is, and what its specification says is in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from gen.design.hardware import HardwareConfig
from golden.checkpoints.config import ModelConfig
from golden.models.integer_model import Units
from golden.units.rope import Rope
from golden.units.table import Table
from verif.extract.errors import ExtractionError
from verif.extract.tables import InitialMemory, read_memories

__all__ = ["ANGLES", "INTERPOLATION", "ChipTable", "chip_tables", "initial_values"]

INTERPOLATION, ANGLES = "entries", "angles"
"""Memories that hold tables: of an interpolated function, of cosines and sines."""


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
    """Words other than 0 in all memories of a module, which should be none where it holds no table: int64 [n]."""
    words = [word for memory in read_memories(text).values() for word in memory.words]
    return np.array([word & 0xFFFFFFFF or 1 for word in words if word], dtype=np.int64)


def _interpolation(module: str, table: Table) -> ChipTable:
    """Word: the segment's start, unsigned, and above it the signed difference to the next one."""
    expected = np.array([table.base, table.delta], dtype=np.int64).T
    return ChipTable(f"{module}_table", INTERPOLATION, expected, (max(table.points).bit_length(),), (False, True))


def _angles(rope: Rope, hardware: HardwareConfig) -> ChipTable:
    """Of a module to be named; word: cosines of `lanes` pairs, and above them their sines."""
    parts = [angles.reshape(-1, hardware.lanes) for angles in rope.angles(hardware.max_positions)]
    fields, width = 2 * hardware.lanes, rope.frac + 2
    return ChipTable("", ANGLES, torch.cat(parts, 1).numpy(), (width,) * (fields - 1), (True,) * fields)


def chip_tables(config: ModelConfig, hardware: HardwareConfig, top: str) -> Iterator[ChipTable]:
    """All tables of a chip, those around the layers (in modules of `top`) first."""
    units = Units.of(config)
    exp2, angles = units.argmax.numerator.exp2.table, _angles(units.rope, hardware)
    for lane in range(hardware.lanes):
        yield _interpolation(f"{top}_argmax_numerator_exponential_exp2_{lane}", exp2)
    yield _interpolation(f"{top}_final_norm_rsqrt", units.norm.rsqrt.table)
    sigmoid = _interpolation("", units.swiglu.sigmoid.table)
    for layer in range(config.num_hidden_layers):
        attention, experts = f"layer_{layer}_attention", f"layer_{layer}_experts"
        yield _interpolation(f"{attention}_input_norm_rsqrt", units.norm.rsqrt.table)
        for n in "qk":
            yield _interpolation(f"{attention}_{n}_norm_rsqrt", units.head_norm.rsqrt.table)
            yield replace(angles, module=f"{attention}_{n}_rope")
        yield _interpolation(f"{attention}_attention_mix_exponential_exp2", units.attention.exp2.table)
        yield _interpolation(f"{attention}_attention_divide_reciprocal_invert", units.attention.reciprocal.table)
        yield _interpolation(f"{experts}_post_norm_rsqrt", units.norm.rsqrt.table)
        yield _interpolation(f"{experts}_router_numerator_exponential_exp2_0", exp2)
        yield _interpolation(f"{experts}_router_reciprocal_invert", units.router.reciprocal.table)
        for lane in range(hardware.lanes):
            yield replace(sigmoid, module=f"{experts}_swiglu_sigmoid_table_{lane}")
