"""`hardloom info`: what a checkpoint holds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, facts, table
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.stored import has_weights
from hardloom.golden.quantization.by_kind import in_words
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import AttentionShape, DenseShape, ExpertsShape, ModelShape, TensorShape

__all__ = ["billions", "describe", "info", "info_parts", "kind_of"]

KINDS = {
    "q_proj": "q",
    "k_proj": "k",
    "v_proj": "v",
    "o_proj": "o",
    "gate_proj": "expert gate",
    "up_proj": "expert up",
    "down_proj": "expert down",
    "shared.gate_proj": "shared expert gate",
    "shared.up_proj": "shared expert up",
    "shared.down_proj": "shared expert down",
    "dense.gate_proj": "dense gate",
    "dense.up_proj": "dense up",
    "dense.down_proj": "dense down",
    "expert_bias": "expert bias",
}
"""Kinds of tensor in words; others are called as they are, norms all alike."""


def kind_of(tensor: TensorShape) -> str:
    """What a tensor is, in a word or two: "expert up"."""
    return "norm" if tensor.kind.endswith("norm") else KINDS.get(tensor.kind, tensor.kind)


RECORDED = ("numerics", "calibration", "rounding")
"""Fields of `quantization.json` that say how a quantized folder was made."""


@dataclass
class Kind:
    """Tensors of a kind: how many, their shapes, their parameters, and those of them that one token meets."""

    count: int = 0
    shapes: list[list[int]] = field(default_factory=list)
    parameters: int = 0
    active: Fraction | int = 0


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
    config: fields of `config.json`; model: what they describe; parameters: in all; kinds: by kind of tensor.
    weights: what was found of them, None where none was read; scanned: whether every value was read.
    quantization: of a quantized folder, its contract, what that was calibrated on, and how weights were rounded.
    """

    config: dict[str, Any]
    model: ModelShape
    parameters: Counts
    kinds: dict[str, Kind]
    weights: str | None = None
    scanned: bool = False
    quantization: dict[str, Any] | None = None

    def to_json_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "model"}


def describe(config: dict[str, Any], model: ModelShape) -> Info:
    """Architecture and parameter counts.

    Active parameters are those that one token meets: one row of the embedding, the chosen experts of a layer, and
    everything else. A tied head counts once.
    """
    kinds: dict[str, Kind] = {}
    for tensor in model.tensors():
        if model.tied and tensor.kind == "head":
            continue
        row = kinds.setdefault(kind_of(tensor), Kind())
        row.count += 1
        row.parameters += tensor.elements
        row.active += tensor.elements * share_of(tensor, model)
        if list(tensor.shape) not in row.shapes:
            row.shapes.append(list(tensor.shape))
    for row in kinds.values():
        row.active = int(row.active)
    active = sum(int(row.active) for row in kinds.values()) + model.other_parameters
    return Info(config, model, Counts(model.parameters, active), kinds)


def share_of(tensor: TensorShape, model: ModelShape) -> Fraction:
    """Share of a tensor's parameters that a token meets, on average over the experts."""
    if tensor.kind == "embedding":
        return Fraction(1) if model.tied else Fraction(1, model.vocab_size)
    if tensor.expert is None:
        return Fraction(1)
    mlp = model.layers[tensor.layer or 0].mlp
    assert isinstance(mlp, ExpertsShape)
    return Fraction(mlp.top_k, mlp.num_experts)


def info(path: Path, config_only: bool, scan: bool) -> Info:
    """What `path` holds: a checkpoint, a quantized folder, or a folder with `config.json` alone."""
    if config_only or not (has_weights(path) or QuantizedCheckpoint.is_quantized(path)):
        return describe(*read_config(path / CONFIG))
    checkpoint = QuantizedCheckpoint(path) if QuantizedCheckpoint.is_quantized(path) else Checkpoint(path)
    if scan:
        read_all(checkpoint)
    weights = (
        in_words(checkpoint.formats) if isinstance(checkpoint, QuantizedCheckpoint) else " ".join(checkpoint.dtypes())
    )
    found = replace(describe(checkpoint.config, checkpoint.model), weights=weights, scanned=scan)
    if isinstance(checkpoint, QuantizedCheckpoint):
        found = replace(found, quantization={name: checkpoint.quantization.get(name) for name in RECORDED})
    return found


def read_all(checkpoint: Checkpoint | QuantizedCheckpoint) -> None:
    """Read every tensor once, so that what is wrong with any value is reported."""
    done, total = 0, sum(tensor.elements for tensor in checkpoint.model.tensors())
    with progress_bar("reading weights", "weights") as progress:
        for read in checkpoint.scan():
            progress(done := done + read, total)


def info_parts(found: Info) -> Iterator[Part]:
    """The model in words, and a table by kind of matrix."""
    counts = found.parameters
    parameters = f"{billions(counts.total)} total, {billions(counts.active)} active a token"
    made = [] if found.quantization is None else [(name, recorded_line(found.quantization[name])) for name in RECORDED]
    yield facts([*architecture(found.model), ("parameters", parameters), ("weights", weights_line(found)), *made])
    kinds = table(("kind", "count", "shape", "parameters", "active a token"), ())
    kinds.columns[0].no_wrap = True
    for name, row in found.kinds.items():
        shapes = ", ".join(" x ".join(map(str, shape)) for shape in row.shapes)
        kinds.add_row(name, f"{row.count:,}", shapes, f"{row.parameters:,}", f"{row.active:,}")
    kinds.add_section()
    kinds.add_row("total", "", "", f"{counts.total:,}", f"{counts.active:,}")
    yield kinds


def architecture(model: ModelShape) -> list[tuple[str, str]]:
    """Label and text of each line about the model."""
    layers = f"{len(model.layers)}, hidden size {model.hidden_size}"
    lines = [("model", f"{model.family}{', ' + ', '.join(model.uncomputed) if model.uncomputed else ''}")]
    lines += [("layers", layers + (", head tied to the embedding" if model.tied else ""))]
    lines += [("attention", text) for text in dict.fromkeys(attention_line(layer.attention) for layer in model.layers)]
    for mlp, count in Counter(layer.mlp for layer in model.layers).items():
        lines.append(("experts" if isinstance(mlp, ExpertsShape) else "dense layers", mlp_line(mlp, count)))
    mask = "no mask token" if model.mask_token_id is None else f"mask token {model.mask_token_id}"
    ends = ", ".join(map(str, model.eos_token_ids)) or "none"
    return [
        *lines,
        ("vocabulary", f"{model.vocab_size}, {mask}, end token {ends}"),
        ("positions", f"{model.max_position_embeddings}"),
    ]


def attention_line(shape: AttentionShape) -> str:
    shared = "" if shape.num_key_value_heads == shape.num_heads else f" over {shape.num_key_value_heads} of keys"
    partial = "" if shape.rotary_dim == shape.head_dim else f" of {shape.rotary_dim} elements"
    seen = {None: "bidirectional", 1: "causal"}.get(shape.block_length, f"causal by blocks of {shape.block_length}")
    extras = [text for text, there in (("QK-norm", shape.head_norms), ("biases", shape.bias)) if there]
    extras += [] if shape.clip is None else [f"clipped at {shape.clip:g}"]
    parts = [f"{shape.num_heads} heads of {shape.head_dim}{shared}", *extras]
    return ", ".join([*parts, f"RoPE {shape.rope_theta:g}{partial}", seen])


def mlp_line(shape: DenseShape | ExpertsShape, layers: int) -> str:
    if isinstance(shape, DenseShape):
        return f"{layers}, of width {shape.intermediate_size}"
    bias = {None: "", "selection": " with a bias of the choice", "mixing": " with expert bias"}[shape.bias]
    grouped = f", by {shape.top_groups} of {shape.groups} groups" if shape.groups > 1 else ""
    grouped += f", {shape.capacity} a block" if shape.capacity else ""
    shared = f", and a shared one of width {shape.shared_size}" if shape.shared_size else ""
    return (
        f"{shape.num_experts} of width {shape.intermediate_size}, {shape.top_k} a token{grouped}, "
        f"{shape.score} router{bias}{shared}"
    )


def weights_line(found: Info) -> str:
    if found.weights is None:
        return f"none read: the counts follow from {CONFIG} alone"
    return f"{found.weights}, {'every value read and finite' if found.scanned else 'headers read only'}"


def recorded_line(held: Any) -> str:
    """What is recorded, field by field; ranges of activations are left to the file."""
    if not isinstance(held, dict):
        return "none" if held is None else f"{held}"
    inner = {name: value for name, value in held.items() if name != "ranges"}
    return ", ".join(
        f"{name} ({recorded_line(value)})" if isinstance(value, dict) else f"{name} {value}"
        for name, value in inner.items()
    )


def billions(count: int) -> str:
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return str(count)
