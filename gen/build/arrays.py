"""Files of hardwired arrays from a quantized checkpoint: by all workers, in a stream, into a build's folder."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardloom.gen.arrays import emit_connections, emit_prefab, plan_array
from hardloom.gen.build.constants import emit_scales, scale_words
from hardloom.gen.build.dropped import Dropped
from hardloom.gen.build.journal import Journal
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import connection_file
from hardloom.gen.build.parts import Entry, Staged, stage
from hardloom.gen.build.work import Work
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import ArrayUnit
from hardloom.golden.files import Contents
from hardloom.golden.parallel import Opened, Workers, ordered_map
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape

__all__ = [
    "WEIGHTS_HELD",
    "ArrayPart",
    "BuiltArray",
    "Prover",
    "Written",
    "array_parts",
    "array_weights",
]

WEIGHTS_HELD = 1 << 27
"""Weights of the arrays under way at once in a process, in all threads, but for an array that has more by itself."""


@dataclass(frozen=True)
class BuiltArray:
    """A finished array unit.

    Attributes
    ----------
    entry: of the journal, which holds all of this, so that a build that goes on need not decode the matrices again.
    scales: row scales of an expert's banks, as `scale_words`, for a ROM of the layer; none of other arrays.
    """

    entry: Entry
    facts: ArrayFacts
    scales: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, unit: ArrayUnit, entry: Entry, module_prefix: str) -> "BuiltArray":
        """Raises KeyError, TypeError or ValueError where the entry's facts are those of another unit."""
        facts = ArrayFacts.from_json(unit, entry.facts["array"], module_prefix)
        scales = tuple(np.frombuffer(bytes.fromhex(words), dtype="<u4") for words in entry.facts["scales"])
        if [len(words) for words in scales] != [facts.rows] * (len(unit.matrices) if unit.expert is not None else 0):
            raise ValueError(f"the row scales of {unit.module} are those of another array")
        return cls(entry, facts, scales)


@dataclass(frozen=True)
class Written:
    """An array as it has just been written.

    Attributes
    ----------
    facts: of it. name: of the file of its connections. paths, digests: where its files are and their SHA-256, by name.
    """

    facts: ArrayFacts
    name: str
    paths: dict[str, Path]
    digests: dict[str, str]


Prover = Callable[[QuantizedCheckpoint, Written], Dropped]
"""Reads an array back out of its text and compares all of it with the checkpoint. Raises `UserError` where a weight
differs, or the text is not the one that was written. Can be pickled, and is called where the array was written."""


@dataclass(frozen=True)
class ArrayPart:
    """Makes array units of one build, wherever it is called.

    Attributes
    ----------
    out: the build folder, an absolute path; source: the quantized checkpoint.
    compress, module_prefix, prove: as `gen.build.generate.build_chip` has them.
    """

    out: Path
    source: Opened[QuantizedCheckpoint]
    hardware: HardwareConfig
    compress: bool
    module_prefix: str
    prove: Prover | None

    def __call__(self, unit: ArrayUnit) -> Staged:
        """The files of an array unit, not yet in their place, and what the journal will say of it."""
        checkpoint, hardware = self.source.value, self.hardware
        banks = [checkpoint.integers(name, *unit.span(checkpoint.rows(name))) for name in unit.matrices]
        plan = plan_array(
            unit.module,
            banks,
            lanes=hardware.lanes,
            slices=hardware.slices_of(unit.kind),
            style=hardware.style_of(unit.kind),
            format=[checkpoint.format_of(name) for name in unit.matrices],
            activation=unit.activation(checkpoint.numerics),
        )
        files: dict[str, Contents] = {f"rtl/prefab/{name}": text for name, text in emit_prefab(plan).items()}
        files[connection_file(unit.module, self.compress)] = emit_connections(plan)
        scales = [scale_words(bank) for bank in banks]
        if unit.expert is None:
            name = unit.module + "_scales"
            files[f"rtl/constants/{name}.v"] = emit_scales(name, [scales], hardware.lanes)
            scales = []
        texts = [words.astype("<u4").tobytes().hex() for words in scales]
        facts = ArrayFacts.of(unit, plan, self.module_prefix)
        said = {"array": facts.to_json(), "scales": texts}
        staged = stage(self.out, self.module_prefix, unit.module, files, said)
        if self.prove is None:
            return staged
        name = connection_file(facts.module, self.compress)
        written = Written(facts, name, staged.paths(self.out), staged.entry.files)
        return staged.without(self.out, name, self.prove(checkpoint, written))


def array_weights(model: ModelShape) -> Callable[[ArrayUnit], int]:
    """Weights of an array unit of a model, zeros included."""
    shapes = {matrix.name: matrix.shape for matrix in model.matrices()}

    def weights(unit: ArrayUnit) -> int:
        rows, inputs = shapes[unit.matrices[0]]
        first, stop = unit.span(rows)
        return len(unit.matrices) * (stop - first) * inputs

    return weights


def array_parts(
    journal: Journal, part: ArrayPart, units: Sequence[ArrayUnit], workers: Workers, work: Work
) -> list[BuiltArray]:
    """Array `units`, in order, made by `workers` where they are missing."""

    def kept(unit: ArrayUnit) -> BuiltArray | None:
        if entry := journal.done(unit.module):
            with suppress(KeyError, TypeError, ValueError):
                return BuiltArray.of(unit, entry, journal.module_prefix)
        return None

    built = dict[str, BuiltArray]()
    for found, unit in zip(ordered_map(kept, units), units, strict=True):
        if found is not None:
            built[unit.module] = found
            work.done(found.facts.weights)
    missing = [unit for unit in units if unit.module not in built]
    with closing(workers.map(part, missing, array_weights(part.source.value.model), WEIGHTS_HELD)) as made:
        for staged, unit in zip(made, missing, strict=True):
            built[unit.module] = BuiltArray.of(unit, journal.add(staged), journal.module_prefix)
            work.done(built[unit.module].facts.weights)
    return [built[unit.module] for unit in units]
