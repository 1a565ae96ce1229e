"""Cells sampled from the arrays of every style and kind of a build, read by pyverilog, against the checkpoint."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardloom.gen.build.arrays import connection_file
from hardloom.gen.build.folder import Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.crosscheck.array_text import ArrayText
from hardloom.verif.crosscheck.cells import READERS
from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Sample", "Sampled", "choose_samples", "crosscheck"]

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


def choose_samples(build: Build, seed: int = 0) -> list[Sample]:
    """Rows of `ARRAYS` arrays of every style and kind, the same each time."""
    rng, groups = random.Random(seed), dict[tuple[str, str], list[ArrayFacts]]()
    for facts in build.arrays:
        groups.setdefault((facts.style, facts.kind), []).append(facts)
    chosen = [facts for group in groups.values() for facts in rng.sample(group, min(ARRAYS, len(group)))]
    return [Sample(facts, rng.randrange(len(facts.matrices)), rng.randrange(facts.rows)) for facts in chosen]


def crosscheck(build: Build, progress: Callable[[int], None] = lambda left: None) -> Sampled:
    """Read the sampled cells and compare them with the quantized checkpoint inside the build.

    `progress` is called with the number of samples left. Raises `UserError` where a file is not as the manifest says.
    """
    result, checkpoint = Sampled(), build.checkpoint()
    prefab = {Path(name).name: build.text(name) for name in build.files if name.startswith("rtl/prefab/")}
    samples = choose_samples(build)
    for left, sample in zip(reversed(range(len(samples))), samples, strict=True):
        facts = sample.facts
        width = facts.activation(checkpoint.numerics).width
        pieces = build.pieces(connection_file(facts.module))
        array = ArrayText(b"", prefab, facts.inputs, build.hardware.lanes, facts.slices, width, pieces)
        try:
            cell = READERS[facts.style](array, sample.bank, sample.row)
        except (ExtractionError, UnicodeDecodeError) as error:
            result.weights += facts.inputs
            result.first = result.first or f"{sample}: {error}"
            continue
        finally:
            deque(pieces, maxlen=0)  # the hash is that of all of them
            progress(left)
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
