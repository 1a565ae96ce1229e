"""The integer model: composed like the chip, bit for bit, with named probe points."""

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from golden.models.integer_layers import AttentionEngine, DenseEngine, ExpertsEngine, Parts, Recorder
from golden.models.layer_units import Units
from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import Prediction
from golden.shape import DenseShape
from golden.units.fixed import FixedPoint

__all__ = ["IntegerModel"]


class Embedding:
    """Rows of the embedding matrix as fixed-point vectors."""

    def __init__(self, matrix: IntegerMatrix, word: FixedPoint, device: torch.device) -> None:
        self.word = word
        self.weights = matrix.weights.to(device, torch.int64)
        self.mant = matrix.mant.to(device, torch.int64)[:, None]
        self.shift = -matrix.exp.to(device, torch.int64)[:, None]

    def __call__(self, tokens: Tensor) -> Tensor:
        shift = self.shift[tokens] - self.word.frac
        return self.word.round(self.weights[tokens] * self.mant[tokens], shift)


class IntegerModel:
    """The chip in integers: an `Engine` for `golden.samplers.denoise`.

    Parameters
    ----------
    checkpoint: quantized checkpoint.
    device: any torch device; integers are identical on all of them.
    """

    def __init__(self, checkpoint: QuantizedCheckpoint, device: str | torch.device = "cpu") -> None:
        self.shape, self.numerics, self.device = checkpoint.model, checkpoint.numerics, torch.device(device)
        self.layers: list[tuple[AttentionEngine, DenseEngine | ExpertsEngine]] = []
        for number, layer in enumerate(self.shape.layers):
            units = Units.of(self.shape, self.numerics, layer)
            parts, prefix = Parts(checkpoint, units, number, self.device), f"layer.{number}."
            mlp = layer.mlp
            engine = DenseEngine(parts, prefix) if isinstance(mlp, DenseShape) else ExpertsEngine(parts, mlp, prefix)
            self.layers.append((AttentionEngine(parts, layer.attention, prefix), engine))
        self.units = Units.of(self.shape, self.numerics, self.shape.layers[0])
        around = Parts(checkpoint, self.units, None, self.device)
        embedding = checkpoint.integers(self.shape.tensor("embedding").name)
        self.embedding = Embedding(embedding, self.numerics.word, self.device)
        self.norm, self.head = around.norm("norm"), around.matrix("head", "norm")

    @classmethod
    def from_checkpoint(cls, path: Path | str, format: str = "mxfp4", device: str = "cpu") -> "IntegerModel":
        """From a quantized folder, or from a Hugging Face folder that is quantized on the way (to a temporary one)."""
        if QuantizedCheckpoint.is_quantized(path):
            return cls(QuantizedCheckpoint(path), device)
        with tempfile.TemporaryDirectory() as folder:
            quantize_checkpoint(Path(path), Path(folder), format)
            return cls(QuantizedCheckpoint(folder), device)

    def forward(self, tokens: Tensor, record: Recorder = lambda name, value: None) -> Tensor:
        """Token ids int64 [batch, positions] to fixed-point logits int64 [batch, positions, vocabulary]."""
        tokens = tokens.to(self.device)
        angles = {}
        for rope in dict.fromkeys(attention.units.rope for attention, _ in self.layers):
            cosine, sine = rope.angles(tokens.shape[1])
            angles[rope] = cosine.to(self.device), sine.to(self.device)
        x = self.embedding(tokens)
        record("embedding", x)
        for attention, mlp in self.layers:
            x = mlp(attention(x, angles[attention.units.rope], record), record)
        packet = self.norm(x)
        record("final_norm", packet[0])
        logits = self.head(packet)
        record("logits", logits)
        return logits

    def logits(self, tokens: Tensor) -> Tensor:
        """As `forward`, in float32."""
        return self.forward(tokens).float() * 2.0**-self.numerics.word.frac

    def predict(self, tokens: Tensor, record: Recorder = lambda name, value: None) -> Prediction:
        """Token and spread of every position; see `golden.units.argmax`."""
        token, spread = self.units.argmax.compute(self.forward(tokens, record))
        record("argmax.token", token[..., None])
        record("argmax.spread", spread[..., None])
        return Prediction(token.cpu(), spread.cpu()).shifted(self.shape.shift)

    @staticmethod
    def spread_limit(threshold: float) -> int:
        """What a spread must stay below for a probability above `threshold`: register SPREAD_LIMIT, of 32 bits."""
        return min(math.ceil(65536 / Fraction(threshold)), (1 << 32) - 1)
