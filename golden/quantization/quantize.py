"""Quantizes a checkpoint in a stream of pieces: memory holds what the method of rounding has in work."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.checkpoints.json_files import read_regular_file
from hardloom.golden.checkpoints.safetensors_stream import SafetensorsWriter
from hardloom.golden.files import write_file, write_json
from hardloom.golden.folders import claimed
from hardloom.golden.quantization.by_kind import formats_by_kind
from hardloom.golden.quantization.constants import constants
from hardloom.golden.quantization.pieces import NEAREST, Method, Statistics
from hardloom.golden.quantization.quantized import (
    QUANTIZATION,
    TENSORS,
    TOKENIZER,
    stored_tensors,
)
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.numerics import GENERAL, Numerics

__all__ = ["quantize_checkpoint"]


def quantize_checkpoint(
    ckpt: str | Path,
    out: str | Path,
    format: str | None = None,
    numerics: Numerics | None = None,
    formats: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[int, int], None] | None = None,
    statistics: dict[TensorShape, Statistics] | None = None,
    calibration: dict[str, Any] | None = None,
    method: Method = NEAREST,
) -> dict[str, Any]:
    """Fold the norm gains of `ckpt` into its matrices (in float32), round these by `method`, and write `out`.

    The layout is that of `golden.quantization.quantized`. The same input gives the same bytes; an interrupted run
    leaves no file that looks whole. `format`, `formats`: as of `formats_by_kind`. numerics: None: the contract for any
    model, `GENERAL`. `progress` is called with the weights done and their total; `statistics`, where given, receives a
    `Statistics` a matrix. calibration: what `numerics` was measured by, which is recorded.

    Returns the contents of `quantization.json`. Raises `UserError` for a bad checkpoint, an unknown format or kind, a
    weight that is or becomes infinite or NaN, a vector that the constants under `numerics` do not hold, and an `out`
    that is not ours to write to (`golden.folders.claimed`).
    """
    source, out = Checkpoint(ckpt), Path(out)
    chosen, numerics = formats_by_kind(source.model, format, formats), numerics or GENERAL
    statistics = {} if statistics is None else statistics
    tokenizer = None if source.tokenizer_path is None else read_regular_file(source.tokenizer_path)
    vectors = list(source.model.vectors(numerics.gains == "behind"))
    for vector in vectors:
        constants(vector, source.tensor(vector.name).float(), source.model, numerics)
    with claimed(out, "quantized checkpoint"):
        (out / QUANTIZATION).unlink(missing_ok=True)  # it says that all else is whole, and comes last
        matrices = list(source.model.matrices())
        total, done = sum(matrix.elements for matrix in matrices), 0
        tensors = stored_tensors(source.model, chosen, numerics.gains)
        with SafetensorsWriter(out / TENSORS, tensors) as writer:
            for vector in vectors:
                writer.write(vector.name, source.tensor(vector.name).float())
            statistics.update((matrix, Statistics()) for matrix in matrices)
            for matrix, codes, scales, found in method.pieces(source, chosen, numerics):
                writer.write(matrix.name + ".codes", codes)
                writer.write(matrix.name + ".scales", scales)
                statistics[matrix].merge(found)
                done += found.elements
                if progress:
                    progress(done, total)
        found_of = {matrix.name: {"shape": list(matrix.shape), **statistics[matrix].report()} for matrix in matrices}
        report = {
            "formats": chosen,
            "numerics": numerics.to_json(),
            "calibration": calibration,
            "rounding": dict(method.record),
            "tool_version": version("hardloom"),
            "matrices": found_of,
        }
        write_json(out / CONFIG, source.config)
        if tokenizer is None:
            (out / TOKENIZER).unlink(missing_ok=True)
        else:
            write_file(out / TOKENIZER, tokenizer)
        write_json(out / QUANTIZATION, report)
        return report
