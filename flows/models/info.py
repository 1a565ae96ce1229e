"""`hardloom info`: what a checkpoint holds."""

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from golden.checkpoints.checkpoint import Checkpoint, expected_tensors
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.stored import has_weights
from golden.quantization.quantized import CONFIG, QuantizedCheckpoint

__all__ = ["describe", "info", "kind"]

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


def describe(config: ModelConfig) -> dict[str, Any]:
    """Architecture and parameter counts.

    Active parameters are those that one token meets: one row of the embedding, `num_experts_per_tok` experts a layer,
    and everything else.
    """
    kinds: dict[str, dict[str, Any]] = {}
    for name, shape in expected_tensors(config).items():
        row = kinds.setdefault(kind(name), {"count": 0, "shapes": [], "parameters": 0, "active": 0})
        row["count"] += 1
        row["parameters"] += math.prod(shape)
        if list(shape) not in row["shapes"]:
            row["shapes"].append(list(shape))
    for name, row in kinds.items():
        routed = name.startswith("expert ") and name != "expert bias"
        row["active"] = (
            row["parameters"] * config.num_experts_per_tok // config.num_experts if routed else row["parameters"]
        )
    kinds["embedding"]["active"] = config.hidden_size
    return {
        "config": {**config.to_json_dict(), "has_expert_bias": config.has_expert_bias},
        "parameters": {
            "total": sum(row["parameters"] for row in kinds.values()),
            "active": sum(row["active"] for row in kinds.values()),
        },
        "kinds": kinds,
    }


def info(path: Path, config_only: bool, scan: bool, as_json: bool) -> None:
    """Print what `path` holds: a checkpoint, a quantized folder, or a folder with `config.json` alone."""
    report = gather(path, config_only, scan)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        print_report(report)


def gather(path: Path, config_only: bool, scan: bool) -> dict[str, Any]:
    """The report: `describe`, and under `weights` what was found of them and whether every value was read."""
    if config_only or not (has_weights(path) or QuantizedCheckpoint.is_quantized(path)):
        return {**describe(ModelConfig.from_json(path / CONFIG)), "weights": None, "scanned": False}
    if QuantizedCheckpoint.is_quantized(path):
        quantized = QuantizedCheckpoint(path)
        if scan:
            read_all(quantized)
        return {**describe(quantized.config), "weights": quantized.format, "scanned": scan}
    checkpoint = Checkpoint(path)
    if scan:
        read_all(checkpoint)
    return {**describe(checkpoint.config), "weights": " ".join(checkpoint.dtypes()), "scanned": scan}


def read_all(checkpoint: Checkpoint | QuantizedCheckpoint) -> None:
    """Read every tensor once, so that what is wrong with any value is reported."""
    done, total = 0, sum(math.prod(shape) for shape in expected_tensors(checkpoint.config).values())
    with progress_bar("reading weights", "weights") as progress:
        for read in checkpoint.scan():
            progress(done := done + read, total)


def print_report(report: dict[str, Any]) -> None:
    console, config, counts = Console(highlight=False), report["config"], report["parameters"]
    facts = Table(show_header=False, box=None)
    for label, text in architecture(config):
        facts.add_row(label, text)
    facts.add_row("parameters", f"{billions(counts['total'])} total, {billions(counts['active'])} active a token")
    facts.add_row("weights", weights_line(report))
    console.print(facts)
    table = Table()
    for header in ("kind", "count", "shape", "parameters", "active a token"):
        table.add_column(header, justify="left" if header == "kind" else "right", no_wrap=header == "kind")
    for name, row in report["kinds"].items():
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in row["shapes"])
        table.add_row(name, f"{row['count']:,}", shapes, f"{row['parameters']:,}", f"{row['active']:,}")
    table.add_section()
    table.add_row("total", "", "", f"{counts['total']:,}", f"{counts['active']:,}")
    console.print(table)


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


def weights_line(report: dict[str, Any]) -> str:
    if report["weights"] is None:
        return f"none read: the counts follow from {CONFIG} alone"
    return f"{report['weights']}, {'every value read and finite' if report['scanned'] else 'headers read only'}"


def billions(count: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return str(count)
