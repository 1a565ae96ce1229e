"""Integer matrices for tests of arrays: quantized noise of each format, extremes, and arbitrary integers."""

import numpy as np
import torch

from hardloom.golden.quantization.formats import quantize
from hardloom.golden.quantization.integers import IntegerMatrix


def noise(format: str, rows: int, inputs: int, seed: int = 0, uneven: bool = True) -> IntegerMatrix:
    """Normal noise in `format`; `uneven`: its blocks are of unlike size, so that mxfp4 rows hold big integers."""
    rng = np.random.default_rng(seed)
    sizes = np.repeat(2.0 ** rng.integers(-1, 2, (rows, -(-inputs // 32))), 32, axis=1)[:, :inputs]
    values = rng.standard_normal((rows, inputs)) * (sizes if uneven else 1.0)
    return quantize(torch.from_numpy(values).float(), format).integers()


def exactly(weights: np.ndarray) -> IntegerMatrix:
    """The integers `weights` [rows, inputs] as a matrix."""
    rows = len(weights)
    return IntegerMatrix(
        torch.tensor(weights, dtype=torch.int32),
        torch.full((rows,), 128, dtype=torch.int32),
        torch.zeros(rows, dtype=torch.int32),
    )


def one_large_row(rows: int, inputs: int, factor: int = 8) -> IntegerMatrix:
    """Even mxfp4 noise, row 7 multiplied by `factor`, as one small block in it would do."""
    weights = noise("mxfp4", rows, inputs, uneven=False).weights.numpy().copy()
    weights[7] *= factor
    return exactly(weights)


def values(matrix: IntegerMatrix) -> torch.Tensor:
    """The matrix as float64 [rows, inputs]; exact."""
    return torch.from_numpy(
        np.ldexp((matrix.weights * matrix.mant[:, None]).double().numpy(), matrix.exp[:, None].numpy())
    )
