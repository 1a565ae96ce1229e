"""Every integer of the checkpoint read back out of a build's Verilog text, and compared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gen.build.arrays import WEIGHTS_HELD, connection_file
from gen.build.constants import SCALE_BITS, embedding_width
from gen.build.folder import CHIP, Build
from gen.build.manifest import ArrayFacts
from gen.design.layer_sizes import wired_module
from golden.files import COMPRESSED
from golden.models.integer_model import Units
from golden.parallel import ordered_map
from golden.quantization.integers import IntegerMatrix
from golden.shape import EMBEDDING, ExpertsShape
from golden.units.rescale import Rescale
from golden.units.rope import Rope
from golden.units.router import Router
from verif.crosscheck.sample import crosscheck
from verif.extract.arrays import read_array
from verif.extract.constant_module import read_constants
from verif.extract.errors import ExtractionError
from verif.proof.folder import folder_problem, model_weights
from verif.proof.hierarchy import Hierarchy
from verif.proof.tables import ChipTable, chip_tables, initial_values

__all__ = ["Comparison", "Reader", "Reading", "Recovery", "recover"]

HEAD_BYTES = 4096
"""Of an array's text, with its ports."""


@dataclass(frozen=True)
class Reading:
    """How one file is read.

    Attributes
    ----------
    file: in the build folder.
    what: it holds: `weights`, `constants`, a `table`, or `state` (memories that must start as zeros).
    weights: how many, 0 where it holds something else.
    expected: gives the integers that should be there; read: the file's text to those that are, raises ExtractionError.
    """

    file: str
    what: str
    expected: Callable[[], np.ndarray] = field(repr=False)
    read: Callable[[bytes], np.ndarray] = field(repr=False)
    weights: int = 0

    def compare(self, text: bytes) -> "Comparison":
        """What `text` holds against what it should."""
        try:
            got = self.read(text)
        except ExtractionError as error:
            return Comparison(self, 0, 0, f"{self.file}: {error}", False)
        expected = self.expected()
        same = expected == got if expected.shape == got.shape else np.zeros(expected.shape, dtype=bool)
        matching = int(np.count_nonzero(same))
        sound = expected.shape == got.shape and matching == expected.size
        first = None if sound else f"{self.file}: {difference(expected, got, same)}"
        return Comparison(self, expected.size, matching, first)


@dataclass(frozen=True)
class Comparison:
    """Integers expected of a file, those that match, the first difference in words; legible: the text could be read."""

    reading: Reading
    expected: int
    matching: int
    first: str | None
    legible: bool = True


@dataclass
class Recovery:
    """Integers read back.

    Attributes
    ----------
    weights, matching: weights of arrays and embedding in the checkpoint, and of them those recovered as they are.
    constants, matching_constants: the same of row scales, gains and biases.
    tables, entries, matching_entries: interpolation and angle tables, their integers, and of them those that match.
    sampled, matching_sampled: weights in sampled cells of every style and kind of array, and of them those that
        `verif.crosscheck`, which shares no code with the readers of all the others, recovers as they are.
    files: Verilog files read; first: the first difference in words, or None.
    """

    weights: int = 0
    matching: int = 0
    constants: int = 0
    matching_constants: int = 0
    tables: int = 0
    entries: int = 0
    matching_entries: int = 0
    sampled: int = 0
    matching_sampled: int = 0
    files: int = 0
    first: str | None = None

    @property
    def complete(self) -> bool:
        total = (self.weights, self.constants, self.entries, self.sampled)
        matching = (self.matching, self.matching_constants, self.matching_entries, self.matching_sampled)
        return self.first is None and total == matching

    def add(self, found: Comparison) -> None:
        """Count one file."""
        self.files += found.legible
        if found.reading.what == "weights":
            self.weights, self.matching = self.weights + found.expected, self.matching + found.matching
        elif found.reading.what == "constants":
            self.constants += found.expected
            self.matching_constants += found.matching
        elif found.reading.what == "table":
            self.tables, self.entries = self.tables + found.legible, self.entries + found.expected
            self.matching_entries += found.matching
        self.first = self.first or found.first


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
    shift = words >> Rescale.mant_width
    shift -= (shift >> (Rescale.shift_width - 1)) << Rescale.shift_width
    return np.stack([words & ((1 << Rescale.mant_width) - 1), -shift])


def expected_pairs(matrices: list[IntegerMatrix]) -> np.ndarray:
    return np.concatenate([torch.stack([m.mant, m.exp]).numpy().astype(np.int64) for m in matrices], axis=1)


class Reader:
    """Says how every file of one build is read, and what the checkpoint inside it and the specifications expect."""

    def __init__(self, build: Build) -> None:
        self.build, self.checkpoint = build, build.checkpoint()
        self.lanes, self.model = build.hardware.lanes, self.checkpoint.model
        self.shapes = {tensor.name: tensor.shape for tensor in self.model.tensors()}
        prefab = [name for name in build.files if name.startswith("rtl/prefab/")]
        self.hierarchy = Hierarchy(build)
        self.prefab = {Path(name).name: build.file(name).read_text() for name in prefab}

    def integers(self, names: Sequence[str]) -> list[IntegerMatrix]:
        return [self.checkpoint.integers(name) for name in names]

    def rom(
        self,
        name: str,
        width: int,
        signed: bool,
        expected: Callable[[], np.ndarray],
        arranged: Callable[[np.ndarray], np.ndarray],
        what: str = "constants",
    ) -> Reading:
        """The constant module `name`; `arranged` brings its words, int64 [beats, lanes], to the shape of `expected`."""
        read = partial(read_words, width=width, signed=signed, arranged=arranged)
        return Reading(f"rtl/constants/{name}.v", what, expected, read)

    def scales(self, name: str, groups: Sequence[Sequence[str]]) -> Reading:
        """Row scales behind arrays of `groups`; a word holds the lanes of every bank of one array."""

        def expected() -> np.ndarray:
            return np.concatenate([expected_pairs(self.integers(banks)) for banks in groups], axis=1)

        def arranged(words: np.ndarray) -> np.ndarray:
            beats = words.reshape(len(groups), -1, len(groups[0]), self.lanes).swapaxes(1, 2)
            pairs = [scale_pairs(unpadded(bank, rows)) for group in beats for bank in group]
            return np.concatenate(pairs, axis=1)

        rows = self.shapes[groups[0][0]][0]
        return self.rom(name, SCALE_BITS, False, expected, arranged)

    def layer(self, number: int) -> Iterator[Reading]:
        """Gains, biases and the experts' row scales of a layer."""
        shape, prefix = self.model.layers[number], f"layer_{number}"
        units = Units.of(self.model, self.checkpoint.numerics, shape)
        for n in "qk":
            gains = units.gains(self.checkpoint, number, n).numpy()
            arranged = partial(unpadded, count=gains.size)
            yield self.rom(wired_module(prefix, f"{n}_gain"), Rope.gain_width, True, partial(np.array, gains), arranged)
        biases = units.biases(self.checkpoint, number)
        if biases is not None:
            name = wired_module(prefix, "expert_bias")
            yield self.rom(name, Router.bias_width, True, partial(np.array, biases.numpy()), np.ravel)
        count = shape.mlp.num_experts if isinstance(shape.mlp, ExpertsShape) else 0
        for kind, names in (("gate_up", ("gate_proj", "up_proj")), ("down", ("down_proj",))):
            experts = [[self.model.tensor(name, number, e).name for name in names] for e in range(count)]
            yield self.scales(wired_module(prefix, f"experts.{kind}") + "_scales", experts)

    def embedding(self) -> Iterator[Reading]:
        matrix = self.checkpoint.integers(EMBEDDING)
        vocabulary, hidden = matrix.weights.shape

        def rows(words: np.ndarray) -> np.ndarray:
            whole = words.reshape(vocabulary, -1) if words.size % vocabulary == 0 else words
            return whole if whole[:, hidden:].any() else whole[:, :hidden]

        name, width = wired_module("chip", "embedding"), embedding_width(matrix)
        yield self.rom(name, width, True, lambda: matrix.weights.numpy().astype(np.int64), rows, "weights")
        yield self.rom(
            name + "_scales",
            SCALE_BITS,
            False,
            lambda: expected_pairs([matrix]),
            lambda words: scale_pairs(words.reshape(-1)),
        )

    def array(self, facts: ArrayFacts) -> Iterator[Reading]:
        """Weights of an array unit, and its row scales where it has a ROM of its own."""

        def expected() -> np.ndarray:
            return np.stack([matrix.weights.numpy() for matrix in self.integers(facts.matrices)])

        def read(text: bytes) -> np.ndarray:
            self.hierarchy.read_array(text)
            width = len(facts.matrices) * self.lanes * facts.acc_width
            if f"[{width - 1}:0] out_data,".encode() not in text[:HEAD_BYTES]:
                raise ExtractionError(f"out_data does not have {width} bits, as acc_width in the manifest makes it")
            return read_array(text, self.prefab)

        yield Reading(connection_file(facts.module), "weights", expected, read, facts.weights)
        if facts.expert is None:
            yield self.scales(facts.module + "_scales", [facts.matrices])

    def tables(self) -> Iterator[Reading]:
        """Every table of every unit, and all other memories, which must start as zeros."""
        tables = list(chip_tables(self.model, self.build.hardware, CHIP))
        files = {f"rtl/units/{table.module}.v": table for table in tables}
        for file, table in files.items():
            yield table_reading(file, table)
        for file in self.build.files:
            if file.startswith("rtl/units/") and file not in files:
                yield Reading(file, "state", lambda: np.zeros(0, np.int64), lambda text: initial_values(text.decode()))

    def readings(self) -> Iterator[Reading]:
        """Every file that holds integers, once."""
        for facts in self.build.arrays:
            yield from self.array(facts)
        if self.build.manifest.top is None:
            return
        for number in range(len(self.model.layers)):
            yield from self.layer(number)
        yield from self.embedding()
        yield from self.tables()


def table_reading(file: str, table: ChipTable) -> Reading:
    return Reading(file, "table", lambda: table.expected, lambda text: table.read(text.decode()))


def read_words(text: bytes, width: int, signed: bool, arranged: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Integers of a ROM; raises ExtractionError."""
    words = read_constants(text.decode(), width, signed)
    try:
        return arranged(words)
    except ValueError as error:
        raise ExtractionError(f"its {len(words)} words do not fit to the rows that they stand for") from error


def recover(build: Build, progress: Callable[[int, int], None] = lambda done, total: None) -> Recovery:
    """Read every weight, row scale, gain, bias and table out of the Verilog of `build` and compare, on all cores.

    Text that is not what the generator writes ends the reading: it becomes `Recovery.first`, and what follows counts as
    not recovered. A second reader, `verif.crosscheck`, then reads a sample. `progress` is called with the weights read
    and their total. Raises `UserError` where a file is not as the manifest says.
    """
    reader, recovery, read = Reader(build), Recovery(), set[str]()
    total = model_weights(build, reader.checkpoint)
    if problem := folder_problem(build, reader.checkpoint):
        return Recovery(weights=total, first=problem)
    readings = reader.readings()
    compared = ordered_map(lambda r: r.compare(build.read(r.file)), readings, lambda r: r.weights, WEIGHTS_HELD)
    for found in compared:
        recovery.add(found)
        read.add(found.reading.file)
        if not found.legible:
            break
        progress(recovery.weights, total)
    recovery.weights = total
    unread = sorted(f for f in build.files if f.startswith(("rtl/arrays/", "rtl/constants/")) and plain(f) not in read)
    strange = f"{unread[0]}: is no part of the model" if unread else reader.hierarchy.problem()
    recovery.first = recovery.first or strange
    sampled = crosscheck(build)
    recovery.sampled, recovery.matching_sampled = sampled.weights, sampled.matching
    recovery.first = recovery.first or sampled.first
    return recovery


def plain(name: str) -> str:
    """Of a compressed file as well."""
    return name.removesuffix(COMPRESSED)
