"""The float model with the weights of a quantized checkpoint: what rounding the weights costs, and nothing else."""

import torch

from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["dequantized_model"]


def dequantized_model(checkpoint: QuantizedCheckpoint) -> FloatModel:
    """In float32; gains that its matrices have taken in are 1. Raises as reading the checkpoint does."""
    with torch.device("meta"):
        model = FloatModel(checkpoint.model)
    behind = checkpoint.numerics.gains == "behind"
    kept = {vector.name for vector in checkpoint.model.vectors(behind)}
    tensors = {}
    for tensor in checkpoint.model.tensors():
        if tensor.is_matrix:
            tensors[tensor.name] = checkpoint.matrix(tensor.name).dequantize()
        else:
            tensors[tensor.name] = checkpoint.vector(tensor.name) if tensor.name in kept else torch.ones(tensor.shape)
    model.load_state_dict(tensors, assign=True)
    return model.eval()
