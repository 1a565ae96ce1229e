"""The float model on a set of sequences, a layer after the other: memory holds one layer's weights."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.models.float_model import Arithmetic, Layer, RMSNorm
from hardloom.golden.models.positions import Positions

__all__ = ["embedded", "final_norm", "load_layer", "run_layer", "weights_of"]

TOGETHER = 4096
"""Tokens that are run at once."""


def embedded(checkpoint: Checkpoint, tokens: Tensor) -> Tensor:
    """Rows of the embedding, float32 [sequences, positions, hidden]."""
    return F.embedding(tokens, checkpoint.tensor(checkpoint.model.tensor("embedding").name).float())


def load_layer(checkpoint: Checkpoint, number: int) -> Layer:
    """Layer `number` with its tensors as float32."""
    model = checkpoint.model
    with torch.device("meta"):
        layer = Layer(model, model.layers[number])
    tensors = [tensor for tensor in model.tensors() if tensor.layer == number]
    prefix = f"model.layers.{number}."
    state = {tensor.name.removeprefix(prefix): checkpoint.tensor(tensor.name).float() for tensor in tensors}
    layer.load_state_dict(state, assign=True)
    return layer.eval().requires_grad_(False)


def weights_of(layer: Layer, number: int) -> dict[int, str]:
    """Names of the model's matrices by the identity of a layer's parameter, as `Arithmetic.linear` sees it."""
    return {id(parameter): f"model.layers.{number}.{name}" for name, parameter in layer.named_parameters()}


def final_norm(checkpoint: Checkpoint) -> RMSNorm:
    """The norm before the head."""
    norm = RMSNorm(checkpoint.model.hidden_size, checkpoint.model.rms_norm_eps)
    norm.load_state_dict({"weight": checkpoint.tensor(checkpoint.model.tensor("norm").name).float()})
    return norm.requires_grad_(False)


def run_layer(checkpoint: Checkpoint, number: int, layer: Layer, x: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Residual stream [sequences, positions, hidden] behind the layer, a few sequences at once."""
    positions = Positions.of(checkpoint.model.layers[number].attention, x.shape[1], x.device)
    return torch.cat([layer(part, positions, arithmetic)[0] for part in parts(x)])


def parts(x: Tensor) -> Iterator[Tensor]:
    """`x` [sequences, positions, ...] in pieces of at most `TOGETHER` tokens, or of one sequence."""
    yield from x.split(max(1, TOGETHER // x.shape[1]))
