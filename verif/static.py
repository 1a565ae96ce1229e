"""Every integer of the checkpoint read back out of a build's Verilog text, and compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen.build import Build
from gen.constants import SCALE_BITS, embedding_width
from gen.geometry import wired_module
from gen.matrices import EMBEDDING
from golden.chip import RESCALE, Units
from golden.integers import IntegerMatrix
from golden.units.rope import Rope
from golden.units.router import Router
from verif.extract.arrays import read_array
from verif.extract.errors import ExtractionError
from verif.extract.rom import read_rom

__all__ = ["Recovery", "recover"]

Part = tuple[str, str, np.ndarray, np.ndarray]
"""File, what it holds (`weights` or `constants`), the integers expected and those read, of one shape or not."""


@dataclass
class Recovery:
    """Integers read back.

    Attributes
    ----------
    weights, matching: weights of arrays and embedding in the checkpoint, and of them those recovered as they are.
    constants, matching_constants: the same of row scales, gains and biases.
    files: Verilog files read; first: the first difference in words, or None.
    """

    weights: int = 0
    matching: int = 0
    constants: int = 0
    matching_constants: int = 0
    files: int = 0
    first: str | None = None

    @property
    def complete(self) -> bool:
        return self.first is None and (self.weights, self.constants) == (self.matching, self.matching_constants)

    def add(self, part: Part) -> None:
        """Count one part."""
        file, what, expected, got = part
        same = expected == got if expected.shape == got.shape else np.zeros(expected.shape, dtype=bool)
        self.files += 1
        if what == "weights":
            self.weights, self.matching = self.weights + expected.size, self.matching + int(same.sum())
        else:
            self.constants += expected.size
            self.matching_constants += int(same.sum())
        if self.first is None and not same.all():
            self.first = f"{file}: {difference(expected, got, same)}"


def difference(expected: np.ndarray, got: np.ndarray, same: np.ndarray) -> str:
    if expected.shape != got.shape:
        return f"expected integers of shape {list(expected.shape)}, got {list(got.shape)}"
    index = tuple(np.argwhere(~same)[0])
    return f"at {[int(i) for i in index]}: expected {int(expected[index])}, got {int(got[index])}"


def unpadded(rom: np.ndarray, count: int) -> np.ndarray:
    """Words [beats, lanes] of one packet to its elements [count]; padding that is not zero stays, as a difference."""
    flat = rom.reshape(-1)
    return flat[:count] if not flat[count:].any() else flat


def scale_pairs(words: np.ndarray) -> np.ndarray:
    """Words of 17 bits to int64 [2, ...]: mantissas, exponents (the ROM holds the negated exponent)."""
    shift = words >> RESCALE.mant_width
    shift -= (shift >> (RESCALE.shift_width - 1)) << RESCALE.shift_width
    return np.stack([words & ((1 << RESCALE.mant_width) - 1), -shift])


def expected_pairs(matrices: list[IntegerMatrix]) -> np.ndarray:
    return np.concatenate([torch.stack([m.mant, m.exp]).numpy().astype(np.int64) for m in matrices], axis=1)


class Reader:
    """Reads the files of one build, each against the checkpoint inside it."""

    def __init__(self, build: Build) -> None:
        self.build, self.checkpoint = build, build.checkpoint()
        self.lanes = build.hardware.lanes
        prefab = [name for name in build.files if name.startswith("rtl/prefab/")]
        self.prefab = {Path(name).name: build.file(name).read_text() for name in prefab}

    def rom(self, name: str, width: int, signed: bool) -> tuple[str, np.ndarray]:
        """File of the constant module `name` and its words, int64 [beats, lanes]."""
        file = f"rtl/constants/{name}.v"
        try:
            return file, read_rom(self.build.file(file).read_text(), width, signed)
        except ExtractionError as error:
            raise ExtractionError(f"{file}: {error}") from error

    def integers(self, names: list[str]) -> list[IntegerMatrix]:
        return [self.checkpoint.matrix(name).integers() for name in names]

    def scales(self, name: str, groups: list[list[str]]) -> Part:
        """Row scales behind arrays of `groups`; a word holds the lanes of every bank of one array."""
        file, words = self.rom(name, SCALE_BITS, signed=False)
        expected = [expected_pairs(self.integers(banks)) for banks in groups]
        beats = words.reshape(len(groups), -1, len(groups[0]), self.lanes).swapaxes(1, 2)
        rows = expected[0].shape[1] // len(groups[0])
        got = [scale_pairs(unpadded(bank, rows)) for group in beats for bank in group]
        return file, "constants", np.concatenate(expected, axis=1), np.concatenate(got, axis=1)

    def layer(self, number: int) -> Iterator[Part]:
        """Gains, biases and the experts' row scales of a layer."""
        config, units = self.checkpoint.config, Units.of(self.checkpoint.config)
        base, prefix = f"model.layers.{number}.", f"layer_{number}"
        for n in "qk":
            gains = units.rope.gains(self.checkpoint.vector(f"{base}self_attn.{n}_norm.weight")).numpy()
            file, words = self.rom(wired_module(prefix, f"{n}_gain"), Rope.gain_width, signed=True)
            yield file, "constants", gains, unpadded(words, gains.size)
        bias = self.checkpoint.expert_bias(number)
        biases = units.router.biases(torch.zeros(config.num_experts) if bias is None else bias).numpy()
        file, words = self.rom(wired_module(prefix, "expert_bias"), Router.bias_width, signed=True)
        yield file, "constants", biases, words.reshape(-1)
        for kind, names in (("gate_up", ("gate", "up")), ("down", ("down",))):
            experts = [[f"{base}mlp.experts.{e}.{n}_proj.weight" for n in names] for e in range(config.num_experts)]
            yield self.scales(wired_module(prefix, f"experts.{kind}") + "_scales", experts)

    def embedding(self) -> Iterator[Part]:
        matrix = self.checkpoint.matrix(EMBEDDING).integers()
        expected = matrix.weights.numpy().astype(np.int64)
        file, words = self.rom(wired_module("chip", "embedding"), embedding_width(matrix), signed=True)
        rows = words.reshape(len(expected), -1) if words.size % len(expected) == 0 else words
        padding = rows[:, expected.shape[1] :]
        yield file, "weights", expected, rows if padding.any() else rows[:, : expected.shape[1]]
        file, words = self.rom(wired_module("chip", "embedding_scales"), SCALE_BITS, signed=False)
        yield file, "constants", expected_pairs([matrix]), scale_pairs(words.reshape(-1))

    def array(self, facts: dict[str, Any]) -> Iterator[Part]:
        """Weights of an array unit, and its row scales where it has a ROM of its own."""
        expected = np.stack([matrix.weights.numpy() for matrix in self.integers(facts["matrices"])]).astype(np.int64)
        file = f"rtl/arrays/{facts['module']}.v"
        try:
            got = read_array(self.build.file(file).read_bytes(), self.prefab)
        except ExtractionError as error:
            raise ExtractionError(f"{file}: {error}") from error
        yield file, "weights", expected, got.astype(np.int64)
        if facts["kind"] not in ("gate_up", "down"):
            yield self.scales(facts["module"] + "_scales", [facts["matrices"]])

    def parts(self) -> Iterator[Part]:
        """Everything, a part at a time."""
        for facts in self.build.arrays:
            yield from self.array(facts)
        for number in range(self.checkpoint.config.num_hidden_layers):
            yield from self.layer(number)
        yield from self.embedding()


def recover(build: Build, progress: Callable[[int, int], None] = lambda done, total: None) -> Recovery:
    """Read all weights, row scales, gains and biases out of the Verilog of `build` and compare with its checkpoint.

    Text that is not what the generator writes ends the reading: it becomes `Recovery.first`, and what follows counts as
    not recovered. `progress` is called with the weights read and their total. Raises `UserError` where a file is not as
    the manifest says.
    """
    recovery, total = Recovery(), build.manifest["weights_hardwired"]
    try:
        for part in Reader(build).parts():
            recovery.add(part)
            progress(recovery.weights, total)
    except ExtractionError as error:
        recovery.first = recovery.first or str(error)
    recovery.weights = total
    return recovery
