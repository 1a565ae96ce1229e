"""A checkpoint's weights in 16 bits by row: so fine that the integer model of them shows what its arithmetic costs."""

from pathlib import Path

import torch
from torch import Tensor

from hardloom.golden.calibration.measured import Calibration
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics

__all__ = ["FineWeights"]

BITS = 15
"""Of a magnitude."""


class FineWeights(QuantizedCheckpoint):
    """What the integer model asks of a quantized checkpoint, made of the checkpoint in the folder `path`; gains stand
    behind their norms."""

    def __init__(self, path: Path, numerics: Numerics, calibration: Calibration | None = None) -> None:
        self.source, self.numerics = Checkpoint(path), numerics
        self.quantization = {"calibration": calibration}
        self.path, self.config, self.model = self.source.path, self.source.config, self.source.model

    def integers(self, name: str, start: int = 0, stop: int | None = None) -> IntegerMatrix:
        """Matrix `name`, its rows' largest magnitude of 15 bits."""
        w = self.source.tensor(name, start, stop).double()
        exponent = torch.frexp(w.abs().amax(1).clamp(min=2.0**-100)).exponent - BITS
        weights = (w * torch.exp2(-exponent.double())[:, None]).round().int()
        return IntegerMatrix(weights, torch.full((len(w),), 128, dtype=torch.int32), exponent - 7)

    def vector(self, name: str) -> Tensor:
        return self.source.tensor(name).float()
