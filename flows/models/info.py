"""`hardloom info`: what a checkpoint holds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.console.progress import progress_bar
from flows.console.report import Part, facts, table
from golden.checkpoints.checkpoint import Checkpoint, expected_tensors
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.stored import has_weights
from golden.quantization.quantized import CONFIG, QuantizedCheckpoint

__all__ = ["billions", "describe", "info", "info_parts", "kind"]

KINDS = {
    "embed_tokens": "embedding",
    "gate": "router",
    "gate_proj": "expert gate",
    "up_proj": "expert up",
    "down_proj": "expert down",
    "lm_head": "head",
    "expert_bias": "expert bias",
}


def kind(name: str) -> str:
    """What a tensor is, in a word or two: `model.layers.3.mlp.experts.5.up_proj.weight` is an "expert up"."""
    module = name.removesuffix(".weight").rpartition(".")[2]
    return "norm" if module.endswith("norm") else KINDS.get(module, module.removesuffix("_proj"))


@dataclass
class Kind:
    """Tensors of a kind: how many, their shapes, their parameters, and those of them that one token meets."""

    count: int = 0
    shapes: list[list[int]] = field(default_factory=list)
    parameters: int = 0
    active: int = 0


@dataclass(frozen=True)
class Counts:
    """Parameters of a model, and those of them that one token meets."""

    total: int
    active: int


@dataclass(frozen=True)
class Info:
    """What a folder holds.

    Attributes
    ----------
    config: fields of `config.json`; parameters: in all; kinds: by kind of tensor.
    weights: what was found of them, None where none was read; scanned: whether every value was read.
    """

    config: dict[str, Any]
    parameters: Counts
    kinds: dict[str, Kind]
    weights: str | None = None
    scanned: bool = False


def describe(config: ModelConfig) -> Info:
    """Architecture and parameter counts.

    Active parameters are those that one token meets: one row of the embedding, `num_experts_per_tok` experts a layer,
    and everything else.
    """
    kinds: dict[str, Kind] = {}
    for name, shape in expected_tensors(config).items():
        row = kinds.setdefault(kind(name), Kind())
        row.count += 1
        row.parameters += math.prod(shape)
        if list(shape) not in row.shapes:
            row.shapes.append(list(shape))
    for name, row in kinds.items():
        routed = name.startswith("expert ") and name != "expert bias"
        row.active = row.parameters * config.num_experts_per_tok // config.num_experts if routed else row.parameters
    kinds["embedding"].active = config.hidden_size
    counts = Counts(sum(row.parameters for row in kinds.values()), sum(row.active for row in kinds.values()))
    return Info({**config.to_json_dict(), "has_expert_bias": config.has_expert_bias}, counts, kinds)


def info(path: Path, config_only: bool, scan: bool) -> Info:
    """What `path` holds: a checkpoint, a quantized folder, or a folder with `config.json` alone."""
    if config_only or not (has_weights(path) or QuantizedCheckpoint.is_quantized(path)):
        return describe(ModelConfig.from_json(path / CONFIG))
    checkpoint = QuantizedCheckpoint(path) if QuantizedCheckpoint.is_quantized(path) else Checkpoint(path)
    if scan:
        read_all(checkpoint)
    weights = checkpoint.format if isinstance(checkpoint, QuantizedCheckpoint) else " ".join(checkpoint.dtypes())
    return replace(describe(checkpoint.config), weights=weights, scanned=scan)


def read_all(checkpoint: Checkpoint | QuantizedCheckpoint) -> None:
    """Read every tensor once, so that what is wrong with any value is reported."""
    done, total = 0, sum(math.prod(shape) for shape in expected_tensors(checkpoint.config).values())
    with progress_bar("reading weights", "weights") as progress:
        for read in checkpoint.scan():
            progress(done := done + read, total)


def info_parts(found: Info) -> Iterator[Part]:
    """The model in words, and a table by kind of matrix."""
    counts = found.parameters
    parameters = f"{billions(counts.total)} total, {billions(counts.active)} active a token"
    yield facts([*architecture(found.config), ("parameters", parameters), ("weights", weights_line(found))])
    kinds = table(("kind", "count", "shape", "parameters", "active a token"), ())
    kinds.columns[0].no_wrap = True
    for name, row in found.kinds.items():
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in row.shapes)
        kinds.add_row(name, f"{row.count:,}", shapes, f"{row.parameters:,}", f"{row.active:,}")
    kinds.add_section()
    kinds.add_row("total", "", "", f"{counts.total:,}", f"{counts.active:,}")
    yield kinds


def architecture(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and text of each line about the model."""
    return [
        ("model", f"{config['model_type']} (LLaDA-MoE, masked diffusion, bidirectional attention)"),
        ("layers", f"{config['num_hidden_layers']}, hidden size {config['hidden_size']}"),
        (
            "attention",
            f"{config['num_attention_heads']} heads of {config['head_dim']}, QK-norm, RoPE {config['rope_theta']:g}",
        ),
        (
            "experts",
            f"{config['num_experts']} of width {config['expert_intermediate_size']}, {config['num_experts_per_tok']} a "
            f"token, softmax router{' with expert bias' if config['has_expert_bias'] else ''}",
        ),
        (
            "vocabulary",
            f"{config['vocab_size']}, mask token {config['mask_token_id']}, end token {config['eos_token_id']}",
        ),
        ("positions", f"{config['max_position_embeddings']}"),
    ]


def weights_line(found: Info) -> str:
    if found.weights is None:
        return f"none read: the counts follow from {CONFIG} alone"
    return f"{found.weights}, {'every value read and finite' if found.scanned else 'headers read only'}"


def billions(count: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return str(count)
