"""Cells sampled from the arrays of every style and kind of a build, read by pyverilog, against the checkpoint."""

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardloom.gen.build.folder import Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import connection_file
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.crosscheck.array_text import ArrayText
from hardloom.verif.crosscheck.cells import READERS
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Sample", "Sampled", "choose_rows", "choose_samples", "crosscheck", "read_sample"]

ARRAYS = 2
"""Arrays of each style and kind of which a cell is read."""


@dataclass(frozen=True)
class Sample:
    """The cell of a bank of an array that a row is in."""

    facts: ArrayFacts
    bank: int
    row: int

    def __str__(self) -> str:
        return f"{connection_file(self.facts.module)}, bank {self.bank}, cell of row {self.row}"


@dataclass
class Sampled:
    """Weights in the sampled cells, those of them on which pyverilog and checkpoint agree, and the first difference."""

    weights: int = 0
    matching: int = 0
    first: str | None = None

    def add(self, other: "Sampled") -> None:
        """Count further cells."""
        self.weights, self.matching = self.weights + other.weights, self.matching + other.matching
        self.first = self.first or other.first


def choose_rows(arrays: Sequence[tuple[str, str, int, int]], seed: int = 0) -> list[tuple[int, int, int]]:
    """Rows of `ARRAYS` arrays of every style and kind, the same each time: number of the array, bank and row.

    arrays: style, kind, banks and rows of each.
    """
    rng, groups = random.Random(seed), dict[tuple[str, str], list[int]]()
    for number, (style, kind, *_) in enumerate(arrays):
        groups.setdefault((style, kind), []).append(number)
    chosen = [number for group in groups.values() for number in rng.sample(group, min(ARRAYS, len(group)))]
    return [(number, rng.randrange(arrays[number][2]), rng.randrange(arrays[number][3])) for number in chosen]


def choose_samples(build: Build, seed: int = 0) -> list[Sample]:
    """`choose_rows` of a build, but for those of arrays whose text was dropped."""
    arrays = [(facts.style, facts.kind, len(facts.matrices), facts.rows) for facts in build.arrays]
    samples = [Sample(build.arrays[number], bank, row) for number, bank, row in choose_rows(arrays, seed)]
    return [sample for sample in samples if build.dropped(sample.facts.module) is None]


def crosscheck(build: Build, progress: Callable[[int], None] = lambda left: None) -> Sampled:
    """Read the sampled cells and compare them with the quantized checkpoint inside the build.

    `progress` is called with the number of samples left. Raises `UserError` where a file is not as the manifest says.
    """
    result, checkpoint = Sampled(), build.checkpoint()
    prefab = {Path(name).name: build.text(name) for name in build.files if name.startswith("rtl/prefab/")}
    samples = choose_samples(build)
    for left, sample in zip(reversed(range(len(samples))), samples, strict=True):
        pieces = build.pieces(connection_file(sample.facts.module))
        result.add(read_sample(sample, checkpoint, build.hardware.lanes, prefab, pieces))
        progress(left)
    return result


def read_sample(
    sample: Sample, checkpoint: QuantizedCheckpoint, lanes: int, prefab: Mapping[str, str], pieces: Iterator[bytes]
) -> Sampled:
    """Read a sampled cell out of the `pieces` of its array's text, all of which are drawn, and compare.

    prefab: texts of prefabricated modules by file.
    """
    result, facts = Sampled(), sample.facts
    width = facts.activation(checkpoint.numerics).width
    array = ArrayText(b"", prefab, facts.inputs, lanes, facts.slices, width, pieces)
    try:
        cell = READERS[facts.style](array, sample.bank, sample.row)
    except (ExtractionError, UnicodeDecodeError) as error:
        return Sampled(facts.inputs, 0, f"{sample}: {error}")
    finally:
        deque(pieces, maxlen=0)  # the hash is that of all of them
    for row, got in zip(cell.rows.tolist(), cell.weights, strict=True):
        _compare(result, sample, row, got, _expected(checkpoint, sample, row))
    return result


def _expected(checkpoint: QuantizedCheckpoint, sample: Sample, row: int) -> np.ndarray:
    """Weights of a row in the checkpoint, int64 [inputs]; of neurons behind the last row, 0."""
    if row >= sample.facts.rows:
        return np.zeros(sample.facts.inputs, dtype=np.int64)
    name = sample.facts.matrices[sample.bank]
    first = sample.facts.span(checkpoint.rows(name))[0] + row
    matrix = checkpoint.matrix(name, first, first + 1)
    return matrix.integers().weights[0].numpy().astype(np.int64)


def _compare(result: Sampled, sample: Sample, row: int, got: np.ndarray, expected: np.ndarray) -> None:
    wrong = np.flatnonzero(got != expected)
    if row < sample.facts.rows:
        result.weights += len(expected)
        result.matching += len(expected) - len(wrong)
    if len(wrong) and result.first is None:
        i = wrong[0]
        result.first = f"{sample}: row {row}, input {i}: expected {expected[i]}, pyverilog reads {got[i]}"
