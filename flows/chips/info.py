"""`hardloom info BUILD`: the hardware of a chip, its arrays and memories, and what the cycle model says of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.console.report import Part, facts, table
from hardloom.flows.design.cycles.built import built_paces
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.emitted import emitted_steps
from hardloom.flows.design.estimate.figures import described
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.workload import Workload, workload_tables
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import QUANTIZED
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.quantization.quantized import QUANTIZATION
from hardloom.golden.shape import ModelShape

__all__ = ["build_info", "build_info_parts", "is_build"]


@dataclass(frozen=True)
class Throughput:
    """Of a chip that denoises sequences as long as it can hold, half of them prompt, in all of its slots.

    Attributes
    ----------
    sampler: `block` where keys and values are kept, else `whole`; positions: of a sequence; tokens_per_forward: that a
        step commits (as `hardloom estimate` assumes).
    positions_per_step: that one computes, in the mean; cycles_per_step: from one to the next, of whichever sequence;
        tokens_per_s: at `clock_ghz`.
    """

    sampler: str
    positions: int
    tokens_per_forward: float
    positions_per_step: float
    cycles_per_step: float
    clock_ghz: float
    tokens_per_s: float


@dataclass(frozen=True)
class BuildInfo:
    """What a build folder holds.

    Attributes
    ----------
    hardware: fields of the hardware configuration; arrays: of each kind of array its number and facts; memory_bits: in
        all; weights: hardwired, the embedding's with them. throughput: None where the build is no whole chip.
    """

    build: str
    model: str
    top: str | None
    hardware: dict[str, Any]
    arrays: list[dict[str, Any]]
    memory_bits: int
    weights: int
    throughput: Throughput | None


def is_build(path: Path) -> bool:
    """Whether a folder is one of `hardloom generate`, finished or not."""
    return any((path / name).is_file() for name in (MANIFEST, JOURNAL))


def build_info(path: Path) -> BuildInfo:
    """Of the build folder `path`; no weight is read."""
    build = Build(path)
    manifest = build.manifest
    held = read_json_object(build.file(f"{QUANTIZED}/{QUANTIZATION}"))
    model = described(shape_of(manifest.model).family, manifest.model, held, Request())
    memories = sum(facts.count * facts.geometry.depth * facts.geometry.width for facts in manifest.memories)
    whole = None if manifest.top is None else throughput(build, model)
    arrays, weights = arrays_by_kind(build.arrays), manifest.weights_hardwired
    hardware = build.hardware.to_json_dict()
    return BuildInfo(str(path), model.family, manifest.top, hardware, arrays, memories, weights, whole)


def arrays_by_kind(arrays: tuple[ArrayFacts, ...]) -> list[dict[str, Any]]:
    """Kind, shape, style, slices and cycles a packet of all arrays, how many are like that, and their weights."""
    names = ("kind", "rows", "inputs", "style", "slices", "cycles_per_packet")
    counts, weights = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    for array in arrays:
        key = tuple(getattr(array, name) for name in names)
        counts[key] += 1
        weights[key] += array.weights
    return [dict(zip(names, key, strict=True)) | {"count": counts[key], "weights": weights[key]} for key in counts]


def throughput(build: Build, model: ModelShape) -> Throughput:
    """By the cycle model."""
    hardware, sampler = build.hardware, "block" if build.hardware.cache else "whole"
    positions = min(hardware.max_positions, model.max_position_embeddings)
    a = Assumptions.of("5nm", workload_tables(sampler, model.hidden_size))
    generated = max(1, positions // 2)
    block = min(a["block_length"], generated)
    tokens = min(a["tokens_per_forward"], block)
    given = {"prompt_length": positions - generated, "gen_length": generated, "block_length": block}
    a = a.given(**given, tokens_per_forward=tokens)
    work = Workload.of(sampler, a)
    at_once = AtOnce(**{field.name: getattr(hardware, field.name) for field in fields(AtOnce)})
    steps = emitted_steps(model, hardware.lanes, built_paces(build), work, a, at_once)
    per_s = a["clock_ghz"] * 1e9 / steps.cycles * tokens
    return Throughput(sampler, positions, tokens, steps.positions, steps.cycles, a["clock_ghz"], per_s)


def build_info_parts(found: BuildInfo) -> Iterator[Part]:
    """The chip in words, its hardware field by field, and a table of arrays."""
    lines = [("chip", f"{found.model}, {found.top or 'chosen arrays alone'}, {found.weights:,} weights hardwired")]
    lines.append(("memories", f"{found.memory_bits:,} bits"))
    if (speed := found.throughput) is not None:
        step = f"{speed.cycles_per_step:,.0f} cycles a step of {speed.positions_per_step:,.1f} positions"
        lines.append(("cycle model", f"{step}, of sequences of {speed.positions}, all slots at work"))
        rate = f"{speed.tokens_per_s:,.0f} tokens/s at {speed.clock_ghz:g} GHz"
        lines.append(("", f"{rate} and {speed.tokens_per_forward:g} tokens a step, sampler {speed.sampler}"))
    yield facts(lines)
    flat = {name: value for name, value in found.hardware.items() if not isinstance(value, dict)}
    flat |= {f"queues.{name}": depth for name, depth in found.hardware["queues"].items()}
    yield table(("hardware", "value"), [(name, str(value)) for name, value in flat.items()])
    columns = ("kind", "count", "rows", "inputs", "style", "slices", "cycles a packet", "weights")
    names = ("kind", "count", "rows", "inputs", "style", "slices", "cycles_per_packet", "weights")
    rows = [tuple(a[n] if isinstance(a[n], str) else f"{a[n]:,}" for n in names) for a in found.arrays]
    yield table(columns, rows, "arrays", left=("kind", "style"))
