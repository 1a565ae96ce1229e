"""The build folder: from a quantized checkpoint to all of a chip's Verilog, file by file, resumable."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hardloom.gen.build.arrays import ArrayPart, BuiltArray, Prover, array_parts, array_weights
from hardloom.gen.build.constants import (
    embedding_width,
    emit_embedding,
    emit_layer_constants,
    emit_norm_gains,
    emit_scales,
)
from hardloom.gen.build.digests import generator_digest, quantized_hashes, same_checkpoint
from hardloom.gen.build.dropped import Dropped
from hardloom.gen.build.folder import CHIP, MANIFEST, Build, chip_texts, copy_quantized, delete_unfinished, file_list
from hardloom.gen.build.journal import JOURNAL, Journal
from hardloom.gen.build.manifest import ArrayFacts, Manifest
from hardloom.gen.build.memories import memories_of
from hardloom.gen.build.names import FILE_LIST, QUANTIZED
from hardloom.gen.build.parts import Entry, staging
from hardloom.gen.build.seal import sealed
from hardloom.gen.build.units import elaborated_sizes, unit_parts
from hardloom.gen.build.work import CHIP_TEXT, LAYER_TEXTS, Progress, Work
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes, engine_module
from hardloom.gen.design.matrices import ArrayUnit, Selection, array_units, selected_units
from hardloom.gen.text.prefix import check_prefix, prefixed
from hardloom.golden.checkpoints.config import CONFIG
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED, Contents, write_file, write_json
from hardloom.golden.folders import MARK, claimed, delete, holds
from hardloom.golden.parallel import HERE, Opened, Workers, ordered_map
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS, QuantizedCheckpoint
from hardloom.golden.shape import EMBEDDING, ExpertsShape

__all__ = ["build_arrays", "build_chip"]


def layer_part(
    checkpoint: QuantizedCheckpoint,
    sizes: LayerSizes,
    layer: int,
    scales: Mapping[tuple[int | None, str], Sequence[np.ndarray]],
) -> dict[str, Contents]:
    """Constants of one layer: gains, biases, the experts' row scales; `scales`: of each bank, by layer and array."""
    texts = emit_layer_constants(sizes, checkpoint, layer)
    for kind in ("gate_up", "down") if isinstance(sizes.shape.mlp, ExpertsShape) else ():
        for group, experts in sizes.expert_groups.items():
            name = sizes.module(f"{group}experts_{kind}_scales")
            texts[name] = emit_scales(name, [scales[layer, f"expert.{e}.{kind}"] for e in experts], sizes.lanes)
    return {f"rtl/constants/{name}.v": text for name, text in texts.items()}


def build_key(quantized: dict[str, str], *choices: Any) -> str:
    """Hash of everything the build depends on: hashes of the quantized files, and what was asked for, as JSON."""
    inputs = [version("hardloom"), generator_digest(), *(json.dumps(choice, sort_keys=True) for choice in choices)]
    inputs += [quantized[name] for name in (CONFIG, QUANTIZATION, TENSORS)]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def build_chip(
    checkpoint: QuantizedCheckpoint,
    out: Path,
    hardware: HardwareConfig,
    progress: Progress = lambda done, total: None,
    *,
    compress: bool = False,
    module_prefix: str = "",
    workers: Workers = HERE,
    prove: Prover | None = None,
) -> Build:
    """Write the build folder of a whole chip: manifest, `rtl/`, `chip.f`, `quantized/`.

    Same input, same bytes. Parts that an earlier, interrupted run finished are kept; every file appears whole.
    `progress` is called with the work done and its total. Memory: the arrays under way, as small integers.
    compress: connections and the embedding as Zstandard frames, which are for reading back, not for simulators.
    module_prefix: what the names of all modules begin with (`gen.text.prefix`). workers: make the arrays.
    prove: called with every array as soon as it is written; then its text gives way to its hash.
    """
    hardware.check(checkpoint.model)
    units = list(array_units(checkpoint.model, hardware.head_tiles))
    return write_build(checkpoint, out, hardware, units, CHIP, compress, progress, module_prefix, workers, prove)


def build_arrays(
    checkpoint: QuantizedCheckpoint,
    out: Path,
    hardware: HardwareConfig,
    selection: Selection,
    compress: bool = False,
    progress: Progress = lambda done, total: None,
    *,
    module_prefix: str = "",
    workers: Workers = HERE,
    prove: Prover | None = None,
) -> Build:
    """Write a build folder of chosen arrays alone, with their row scales but for those of experts; else as
    `build_chip`.
    """
    hardware.check(checkpoint.model)
    units = selected_units(checkpoint.model, selection, hardware.head_tiles)
    return write_build(checkpoint, out, hardware, units, None, compress, progress, module_prefix, workers, prove)


def write_build(
    checkpoint: QuantizedCheckpoint,
    out: Path,
    hardware: HardwareConfig,
    units: Sequence[ArrayUnit],
    top: str | None,
    compress: bool,
    progress: Progress,
    module_prefix: str,
    workers: Workers,
    prove: Prover | None,
) -> Build:
    """A build of array `units`, which `hardware` carries, with all that stands around them where there is a `top`."""
    check_prefix(module_prefix)
    hashes = quantized_hashes(checkpoint)
    choices = [module_prefix, compress, prove is not None, [] if top else [unit.module for unit in units]]
    key = build_key(hashes, hardware.to_json_dict(), *choices)
    with claimed(out, "build"):
        if build := intact_build(out, key):
            return build
        owned = {FILE_LIST, *chip_texts(), *(f"{QUANTIZED}/{name}" for name in hashes)}
        journal = begin_build(out, key, owned, module_prefix)
        weights = sum(map(array_weights(checkpoint.model), units))
        if top:
            weights += checkpoint.model.embedding_weights
        work = Work(progress, weights + (LAYER_TEXTS + CHIP_TEXT if top else 0))
        source = Opened(same_checkpoint, checkpoint.path.absolute(), tuple(hashes.items()), here=checkpoint)
        part = ArrayPart(out.absolute(), source, hardware, compress, module_prefix, prove)
        with staging(out):
            made = array_parts(journal, part, units, workers, work)
            entries, arrays = [built.entry for built in made], tuple(built.facts for built in made)
            if top:
                entries += other_parts(journal, checkpoint, hardware, made, compress, work)
            return finish_build(journal, checkpoint, hardware, hashes, top, entries, arrays, weights)


def finish_build(
    journal: Journal,
    checkpoint: QuantizedCheckpoint,
    hardware: HardwareConfig,
    hashes: dict[str, str],
    top: str | None,
    entries: Iterable[Entry],
    arrays: tuple[ArrayFacts, ...],
    weights: int,
) -> Build:
    """Complete the files and describe them: with the manifest the folder is a build, and the journal goes."""
    out, prefix = journal.folder, journal.module_prefix
    files, dropped = finish_files(journal, checkpoint, hashes, entries)
    top = top and prefixed(top, prefix)
    manifest = Manifest(
        tool_version=version("hardloom"),
        key=journal.key,
        model=checkpoint.config,
        quantization=checkpoint.formats,
        hardware=hardware,
        module_prefix=prefix,
        top=top,
        arrays=arrays,
        memories=memories_of(out, files, top, prefix) if top else (),
        weights_hardwired=weights,
        files=files,
        dropped=dropped,
    )
    write_json(out / MANIFEST, sealed(manifest.to_json()))
    journal.path.unlink()
    return Build(out)


def intact_build(out: Path, key: str) -> Build | None:
    """The finished build in `out`, if its `key` is this one and every file that it should hold is as it was written."""
    try:
        build = Build(out)
    except UserError:
        return None
    if build.manifest.key != key or not build.sealed:
        return None
    whole = ordered_map(lambda file: holds(out, *file), build.there.items())
    return build if all(whole) else None


def begin_build(out: Path, key: str, owned: set[str], module_prefix: str) -> Journal:
    """The journal of what an earlier run left there; then the manifest goes, without which a folder is unfinished."""
    with suppress(UserError):
        owned = owned | Build(out).files.keys()
    journal = Journal(out, key, owned, module_prefix)
    delete(out, MANIFEST)
    return journal


def finish_files(
    journal: Journal, checkpoint: QuantizedCheckpoint, hashes: dict[str, str], entries: Iterable[Entry]
) -> tuple[dict[str, str], dict[str, Dropped]]:
    """Complete the files: checkpoint and file list come, what is ours and in no entry goes.

    SHA-256 of all by name, and those of them whose text is gone.
    """
    out, files, dropped = journal.folder, dict[str, str](), dict[str, Dropped]()
    for entry in entries:
        files |= entry.files
        dropped |= {name: Dropped.from_json(values) for name, values in entry.dropped.items()}
    files |= copy_quantized(checkpoint, out, hashes)
    checkpoint.check_unchanged()
    if any(name.startswith("rtl/units/") for name in files):
        files |= {name: write_file(out / name, text) for name, text in chip_texts().items()}
    files |= {FILE_LIST: write_file(out / FILE_LIST, file_list(files))}
    for name in (journal.owned - files.keys()) | dropped.keys():
        delete(out, name)
    delete_unfinished(out, journal.owned | files.keys() | {MARK, JOURNAL, MANIFEST})
    return files, dropped


def other_parts(
    journal: Journal,
    checkpoint: QuantizedCheckpoint,
    hardware: HardwareConfig,
    built: Sequence[BuiltArray],
    compress: bool,
    work: Work,
) -> Iterator[Entry]:
    """Journal entries of the constants and of the units around the arrays `built`."""
    arrays = [array.facts for array in built]
    sizes = elaborated_sizes(checkpoint, hardware, arrays)
    scales = {(array.facts.layer, array.facts.name): array.scales for array in built}
    for layer in range(len(checkpoint.model.layers)):
        of_layer = replace(sizes[engine_module(checkpoint.model, layer)], layer=layer)
        part = f"{of_layer.prefix}.constants"
        yield journal.done(part) or journal.write(part, layer_part(checkpoint, of_layer, layer, scales))
    yield (embedding := embedding_part(journal, checkpoint, sizes[CHIP], compress))
    work.done(checkpoint.model.embedding_weights)
    yield from unit_parts(journal, sizes, arrays, embedding.facts["width"], work)


def embedding_part(journal: Journal, checkpoint: QuantizedCheckpoint, around: LayerSizes, compress: bool) -> Entry:
    """The embedding's rows and scales, and the last norm's gain where it stands behind it.

    The entry's facts say how many bits the embedding's weights have.
    """
    entry = journal.done("chip.embedding")
    if entry is None or not isinstance(entry.facts.get("width"), int):
        matrix = checkpoint.integers(EMBEDDING)
        texts = emit_embedding(around, matrix) | emit_norm_gains(around, checkpoint)
        large = around.module("embedding") if compress else None
        files = {f"rtl/constants/{name}.v{COMPRESSED * (name == large)}": text for name, text in texts.items()}
        entry = journal.write("chip.embedding", files, {"width": embedding_width(matrix)})
    return entry
