"""Whether a build is the model's, whole, and nothing besides: what its manifest says, and what lies in its folder."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from hardloom.gen.build.arrays import array_weights
from hardloom.gen.build.folder import CHIP, MANIFEST, Build, chip_texts, file_list
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import FILE_LIST, QUANTIZED, connection_file
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import ArrayUnit, array_units
from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.errors import UserError
from hardloom.golden.folders import MARK
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS, QuantizedCheckpoint

__all__ = ["folder_problem", "model_weights"]

BESIDE = (MARK, MANIFEST, JOURNAL, "verify.xml", "verify.fst")
"""Files that generating and other commands leave beside those of the manifest; no chip is made of them."""


def model_weights(build: Build, checkpoint: QuantizedCheckpoint) -> int:
    """Weights of all matrices that the build's arrays, and the embedding of a chip, should hold."""
    arrays = sum(map(array_weights(checkpoint.model), wanted_units(build, checkpoint)))
    return arrays + (checkpoint.model.embedding_weights if build.manifest.top else 0)


def folder_problem(build: Build, checkpoint: QuantizedCheckpoint) -> str | None:
    """The first thing, in words, by which the folder is not that of a build of `checkpoint`; None: it is.

    Every file is looked at; those that no reader of weights and constants opens are hashed. Raises `UserError` where
    one of them is not as the manifest says.
    """
    for problems in (manifest_problems, listing_problems, folder_problems):
        if (found := next(problems(build, checkpoint), None)) is not None:
            return found
    return None


def wanted_units(build: Build, checkpoint: QuantizedCheckpoint) -> list[ArrayUnit]:
    """Array units of the model, all of them for a chip; of chosen arrays those that the manifest names."""
    chosen = {facts.module for facts in build.arrays}
    units = array_units(checkpoint.model, build.hardware.head_tiles)
    return [unit for unit in units if build.manifest.top or build.module(unit.module) in chosen]


def manifest_problems(build: Build, checkpoint: QuantizedCheckpoint) -> Iterator[str]:
    """The manifest against the model."""
    manifest = build.manifest
    if manifest.model != checkpoint.config or manifest.quantization != checkpoint.formats:
        yield f"{MANIFEST}: model or quantization are not those of {QUANTIZED}/"
    try:
        build.hardware.check(checkpoint.model)
    except UserError as error:
        yield f"{MANIFEST}: hardware is not of the model: {error}"
    if manifest.top not in (None, top := build.module(CHIP)):
        yield f"{MANIFEST}: top is {manifest.top!r:.40}, not {top}"
    wanted = [build.module(unit.module) for unit in wanted_units(build, checkpoint)]
    found = [facts.module for facts in build.arrays]
    if wanted != found or not found:
        differ = sorted({*wanted} ^ {*found}) or found or [CHIP]
        yield f"{MANIFEST}: arrays are not those of the model, each once and in order; first: {differ[0]}"
    shapes = {matrix.name: matrix.shape for matrix in checkpoint.model.matrices()}
    for facts in build.arrays:
        if problem := facts_problem(facts, shapes[facts.matrices[0]], build.hardware):
            yield f"{MANIFEST}: {facts.module}: {problem}"
        if (gone := build.dropped(facts.module)) and gone.weights != facts.weights:
            yield f"{MANIFEST}: {facts.module}: {gone.weights:,} weights were dropped of {facts.weights:,}"
    known = {connection_file(module, compress) for module in found for compress in (False, True)}
    if strange := sorted(manifest.dropped.keys() - known):
        yield f"{MANIFEST}: {strange[0]} was dropped, and is of no array"
    if manifest.weights_hardwired != (total := model_weights(build, checkpoint)):
        yield f"{MANIFEST}: weights_hardwired is {manifest.weights_hardwired:,}, and the model has {total:,}"
    if not build.sealed:
        yield f"{MANIFEST}: is not as it was written"


def facts_problem(facts: ArrayFacts, shape: tuple[int, ...], hardware: HardwareConfig) -> str | None:
    """Which of an array's facts is not what model and hardware say; shape: of each of its matrices."""
    (first, stop), inputs = facts.span(shape[0]), shape[1]
    rows = stop - first
    wanted: dict[str, object] = {"rows": rows, "inputs": inputs, "weights": rows * inputs * len(facts.matrices)}
    wanted |= {"slices": hardware.slices_of(facts.kind), "style": hardware.style_of(facts.kind)}
    differ = [name for name, value in wanted.items() if getattr(facts, name) != value]
    return f"{differ[0]} is {getattr(facts, differ[0])}, not {wanted[differ[0]]}" if differ else None


def listing_problems(build: Build, checkpoint: QuantizedCheckpoint) -> Iterator[str]:
    """The files of the manifest besides Verilog, and the list of those that are."""
    lists = {FILE_LIST: file_list(build.files)} | (chip_texts() if build.manifest.top else {})
    needed = {*lists, *(f"{QUANTIZED}/{name}" for name in (CONFIG, QUANTIZATION, TENSORS))}
    for name in sorted(needed - build.files.keys()):
        yield f"{name}: is not in {MANIFEST}"
    for name in sorted(build.files):
        if name in lists and build.read(name) != lists[name].encode():
            what = f"the list of the Verilog files in {MANIFEST}" if name == FILE_LIST else "that of a chip"
            yield f"{name}: is not {what}"
        if name.startswith(f"{QUANTIZED}/"):
            build.file(name)
    units = sorted(name for name in build.files if name.startswith("rtl/units/") or name in chip_texts())
    if build.manifest.top is None and units:
        yield f"{units[0]}: is a unit, or of units, where the build has arrays alone"


def folder_problems(build: Build, checkpoint: QuantizedCheckpoint) -> Iterator[str]:
    """What lies in the folder: regular files of the manifest, and what other commands leave there; no other folder."""
    ours = {parent for name in (*build.files, *BESIDE) for parent in PurePath(name).parents}
    for folder, folders, files in os.walk(build.path):
        where = PurePath(folder).relative_to(build.path)
        if not files and not folders and where not in ours:
            yield f"{where.as_posix()}: is not of this build; move it elsewhere"
        for name in sorted([*files, *(each for each in folders if (Path(folder) / each).is_symlink())]):
            path = (where / name).as_posix()
            if path not in build.files and path not in BESIDE:
                yield f"{path}: is not of this build; move it elsewhere"
            elif path in build.manifest.dropped:
                yield f"{path}: was dropped by what {MANIFEST} says, and is there; generate again"
            elif (build.path / path).is_symlink() or not (build.path / path).is_file():
                yield f"{path}: is no regular file"
        folders.sort()
