"""Files of hardwired arrays from a quantized checkpoint: on all cores, in a stream, into a build's folder."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from gen.arrays import emit_connections, emit_prefab, plan_array
from gen.build.constants import emit_scales
from gen.build.journal import Entry, Journal
from gen.build.manifest import ArrayFacts
from gen.design.hardware import HardwareConfig
from gen.design.matrices import ArrayUnit
from golden.checkpoints.checkpoint import expected_tensors
from golden.files import COMPRESSED, Contents
from golden.parallel import ordered_map
from golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["WEIGHTS_HELD", "array_parts", "connection_file"]

Progress = Callable[[int, int], None]
WEIGHTS_HELD = 1 << 27
"""Weights of the arrays under way at once, in all threads, but for an array that has more by itself."""


def connection_file(module: str, compress: bool = False) -> str:
    """Where the connections of array `module` are, in the build folder."""
    return str(PurePosixPath("rtl/arrays") / f"{module}.v{COMPRESSED if compress else ''}")


def array_part(
    checkpoint: QuantizedCheckpoint, hardware: HardwareConfig, unit: ArrayUnit, compress: bool
) -> tuple[dict[str, Contents], ArrayFacts]:
    """Files (the connections as pieces, to be drawn once) and facts of one array unit."""
    banks = [checkpoint.integers(name) for name in unit.matrices]
    plan = plan_array(
        unit.module,
        banks,
        lanes=hardware.lanes,
        slices=hardware.slices[unit.kind],
        style=hardware.style[unit.kind],
        format=checkpoint.format,
    )
    files: dict[str, Contents] = {f"rtl/prefab/{name}": text for name, text in emit_prefab(plan).items()}
    files[connection_file(unit.module, compress)] = emit_connections(plan)
    if unit.expert is None:
        name = unit.module + "_scales"
        files[f"rtl/constants/{name}.v"] = emit_scales(name, [banks], hardware.lanes)
    return files, ArrayFacts.of(unit, plan)


def array_parts(
    journal: Journal,
    checkpoint: QuantizedCheckpoint,
    hardware: HardwareConfig,
    units: Sequence[ArrayUnit],
    compress: bool,
    progress: Progress,
) -> Iterator[tuple[Entry, ArrayFacts]]:
    """Journal entries and facts of array `units`, in order, made where they are missing."""
    shapes = expected_tensors(checkpoint.config)

    def weights(unit: ArrayUnit) -> int:
        return sum(math.prod(shapes[name]) for name in unit.matrices)

    def made(unit: ArrayUnit) -> tuple[Entry, ArrayFacts]:
        if entry := journal.done(unit.module):
            with suppress(KeyError, ValueError):
                return entry, ArrayFacts.from_json(unit, entry.facts)
        files, facts = array_part(checkpoint, hardware, unit, compress)
        return journal.make(unit.module, files, facts.to_json()), facts

    total, done = sum(map(weights, units)), 0
    for entry, facts in ordered_map(made, units, weights, WEIGHTS_HELD):
        done += facts.weights
        progress(done, total)
        yield journal.add(entry), facts
