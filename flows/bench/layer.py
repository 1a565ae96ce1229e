"""`hardloom bench layer`: one layer of LLaDA-MoE-7B, checkpoint to Verilog to proof; seconds, memory, bytes."""

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hardloom.flows.bench.stage import LIMIT_MIB, command
from hardloom.flows.console.report import Part, notice, table
from hardloom.gen.arrays import emit_connections, plan_array
from hardloom.golden.folders import stored_bytes
from hardloom.golden.parallel import cores
from hardloom.golden.quantization.formats import quantize

__all__ = ["layer", "layer_parts"]

GROWTH = (1, 4, 16, 64)
VOCABULARY = 64  # no part of a layer


@dataclass(frozen=True)
class Row:
    """Figures of one layer, with embedding, head and units where it is `whole`.

    Of the commands quantize, generate and verify: `_s` are wall seconds, `_cpu_s` those of all threads together,
    `_weights_per_s` weights of the build by wall seconds, `_mib` the peak of resident memory; limit_mib: what none of
    them may exceed. weights_per_s_per_core: of `generate`, by its CPU seconds.
    """

    experts: int
    whole: bool
    vocabulary: int
    weights: int
    weights_recovered: int
    quantize_s: float
    quantize_cpu_s: float
    quantize_weights_per_s: int
    quantize_mib: int
    generate_s: float
    generate_cpu_s: float
    generate_weights_per_s: int
    generate_mib: int
    proof_s: float
    proof_cpu_s: float
    proof_weights_per_s: int
    proof_mib: int
    weights_per_s_per_core: int
    verilog_bytes: int
    limit_mib: int = LIMIT_MIB


def measure_layer(experts: int, folder: Path, compress: bool = False, whole: bool = False) -> Row:
    """Make, quantize, generate and prove one layer of `experts` experts in `folder`, which is empty again after.

    whole: with embedding and head of the published vocabulary, and all units.
    """
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        size = ["--layers", 1, "--experts", experts, *([] if whole else ["--vocabulary", VOCABULARY])]
        command("make-checkpoint", "--like", "llada-moe-7b", *size, "-o", work / "checkpoint")
        quantized = command("quantize", work / "checkpoint", "-o", work / "quantized", "--format", "mxfp4")
        how = [*([] if whole else ["--layers", 0]), *(["--compress", "zstd"] if compress else [])]
        made = command("generate", work / "quantized", "-o", work / "build", *how, "--json")
        proved = command("verify", work / "build", "--static", "--json")
        weights = json.loads(made.output)["weights_hardwired"]
        stages = {"quantize": quantized, "generate": made, "proof": proved}
        config = json.loads((work / "quantized" / "config.json").read_text())
        return Row(
            experts=experts,
            whole=whole,
            vocabulary=config["vocab_size"],
            weights=weights,
            weights_recovered=json.loads(proved.output)["matching"],
            weights_per_s_per_core=round(weights / made.cpu_seconds),
            verilog_bytes=stored_bytes(work / "build" / "rtl"),
            **{key: value for name, stage in stages.items() for key, value in stage.figures(name, weights).items()},
        )


@dataclass(frozen=True)
class Emission:
    """Plan and text of one matrix on one core, in memory."""

    weights_per_s: int
    bytes_per_weight: float


def emission_rate(rows: int = 1024, inputs: int = 2048, slices: int = 4, repeats: int = 5) -> Emission:
    """Of a matrix of normal weights: the best of some repeats."""
    generator = torch.Generator().manual_seed(0)
    matrix = quantize(torch.randn(rows, inputs, generator=generator), "mxfp4").integers()
    seconds = []
    for _ in range(repeats + 1):  # the first one compiles
        begin = time.process_time()
        size = sum(len(piece) for piece in emit_connections(plan_array("a", [matrix], 4, slices, "metal", "mxfp4")))
        seconds.append(time.process_time() - begin)
    best = float(np.min(seconds[1:]))
    return Emission(round(rows * inputs / best), round(size / rows / inputs, 2))


@dataclass(frozen=True)
class LayerFigures:
    """rows: by number of experts, the layer asked for among them; chosen: that one."""

    cores: int
    emission_one_core: Emission
    chosen: Row
    rows: list[Row]

    def to_json_dict(self) -> dict[str, Any]:
        head = {"cores": self.cores, "emission_one_core": self.emission_one_core}
        return {**head, **asdict(self.chosen), "growth": self.rows}


def layer(experts: int, growth: bool, compress: bool, whole: bool, folder: Path) -> LayerFigures:
    """The figures of one layer, and with `growth` those of smaller ones; else as in `measure_layer`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for count in sorted({*GROWTH, experts} if growth else {experts}):
        notice(f"a layer with {count} of 64 experts: checkpoint, quantization, Verilog, proof")
        rows.append(measure_layer(count, folder, compress, whole))
    return LayerFigures(cores(), emission_rate(), next(row for row in rows if row.experts == experts), rows)


def layer_parts(found: LayerFigures) -> Iterator[Part]:
    """A column a layer, and the rate of emission."""
    columns = ["figure", *(f"{row.experts} experts" for row in found.rows)]
    fields = [field for field in vars(found.chosen) if field != "experts"]
    rows = [(field, *(f"{getattr(row, field):,}" for row in found.rows)) for field in fields]
    yield table(columns, rows, f"one layer of LLaDA-MoE-7B on {found.cores} cores")
    rate = found.emission_one_core
    speed = f"{rate.weights_per_s:,} weights/s, {rate.bytes_per_weight} bytes a weight"
    yield f"plan and text in memory, one core: {speed}"
