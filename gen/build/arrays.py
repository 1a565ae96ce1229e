"""Files of hardwired arrays from a quantized checkpoint: on all cores, in a stream, into a build's folder."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from gen.arrays import emit_connections, emit_prefab, plan_array
from gen.build.constants import emit_scales, scale_words
from gen.build.journal import Entry, Journal
from gen.build.manifest import ArrayFacts
from gen.build.work import Work
from gen.design.hardware import HardwareConfig
from gen.design.matrices import ArrayUnit
from golden.files import COMPRESSED, Contents
from golden.parallel import ordered_map
from golden.quantization.quantized import QuantizedCheckpoint
from golden.shape import ModelShape

__all__ = ["WEIGHTS_HELD", "BuiltArray", "array_parts", "array_weights", "connection_file"]

WEIGHTS_HELD = 1 << 27
"""Weights of the arrays under way at once, in all threads, but for an array that has more by itself."""


def connection_file(module: str, compress: bool = False) -> str:
    """Where the connections of array `module` are, in the build folder."""
    return str(PurePosixPath("rtl/arrays") / f"{module}.v{COMPRESSED if compress else ''}")


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


def array_part(
    checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, unit: ArrayUnit, compress: bool, module_prefix: str
) -> tuple[dict[str, Contents], dict[str, Any]]:
    """Files (the connections as pieces, to be drawn once) of one array unit, and what the journal says of it."""
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
    files[connection_file(unit.module, compress)] = emit_connections(plan)
    scales = [scale_words(bank) for bank in banks]
    if unit.expert is None:
        name = unit.module + "_scales"
        files[f"rtl/constants/{name}.v"] = emit_scales(name, [scales], hardware.lanes)
        scales = []
    texts = [words.astype("<u4").tobytes().hex() for words in scales]
    return files, {"array": ArrayFacts.of(unit, plan, module_prefix).to_json(), "scales": texts}


def array_weights(model: ModelShape) -> Callable[[ArrayUnit], int]:
    """Weights of an array unit of a model, zeros included."""
    shapes = {matrix.name: matrix.shape for matrix in model.matrices()}

    def weights(unit: ArrayUnit) -> int:
        rows, inputs = shapes[unit.matrices[0]]
        first, stop = unit.span(rows)
        return len(unit.matrices) * (stop - first) * inputs

    return weights


def array_parts(
    journal: Journal,
    checkpoint: QuantizedCheckpoint,
    hardware: HardwareConfig,
    units: Sequence[ArrayUnit],
    compress: bool,
    work: Work,
) -> Iterator[BuiltArray]:
    """Array `units`, in order, made where they are missing."""

    prefix = journal.module_prefix

    def made(unit: ArrayUnit) -> BuiltArray:
        if entry := journal.done(unit.module):
            with suppress(KeyError, TypeError, ValueError):
                return BuiltArray.of(unit, entry, prefix)
        files, facts = array_part(checkpoint, hardware, unit, compress, prefix)
        return BuiltArray.of(unit, journal.make(unit.module, files, facts), prefix)

    for built in ordered_map(made, units, array_weights(checkpoint.model), WEIGHTS_HELD):
        journal.add(built.entry)
        work.done(built.facts.weights)
        yield built
