"""The integer model: composed like the chip, bit for bit, with named probe points."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from golden.checkpoints.config import ModelConfig
from golden.errors import UserError
from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import Prediction
from golden.units.argmax import Argmax
from golden.units.attention import Attention
from golden.units.combine import Combine
from golden.units.fixed import FIXED
from golden.units.quantize import Quantize
from golden.units.rescale import Rescale
from golden.units.rmsnorm import RMSNorm
from golden.units.rope import Rope
from golden.units.router import Router
from golden.units.swiglu import SwiGLU

__all__ = ["HardwiredMatrix", "IntegerModel", "Recorder", "Units"]

Recorder = Callable[[str, Tensor], None]
"""Called with a probe point's name and its integers, [batch, positions, elements].

`expert.gate_up` and `expert.down` are the results of the chosen experts, best first."""

EXACT = 1 << 53
"""Integers below it are exact in float64."""


@dataclass(frozen=True)
class Units:
    """The specification objects that one model's geometry asks for; golden model and hardware are built from it."""

    quantize: Quantize
    rescale: Rescale
    norm: RMSNorm
    head_norm: RMSNorm
    rope: Rope
    attention: Attention
    router: Router
    swiglu: SwiGLU
    combine: Combine
    argmax: Argmax

    @classmethod
    def of(cls, config: ModelConfig) -> "Units":
        return cls(
            quantize=Quantize(),
            rescale=Rescale(),
            norm=RMSNorm(config.hidden_size, config.rms_norm_eps),
            head_norm=RMSNorm(config.head_dim, config.rms_norm_eps),
            rope=Rope(config.head_dim, config.rope_theta),
            attention=Attention(config.head_dim),
            router=Router(config.num_experts, config.num_experts_per_tok, config.has_expert_bias),
            swiglu=SwiGLU(),
            combine=Combine(),
            argmax=Argmax(),
        )

    def gains(self, checkpoint: QuantizedCheckpoint, layer: int, projection: str) -> Tensor:
        """Constants of the head norm behind `projection`, "q" or "k": int64 [head_dim].

        Raises `UserError` naming the tensor where the hardware's word does not hold one.
        """
        name = f"model.layers.{layer}.self_attn.{projection}_norm.weight"
        return named(name, self.rope.gains, checkpoint.vector(name))

    def biases(self, checkpoint: QuantizedCheckpoint, layer: int) -> Tensor | None:
        """Constants of the router's biases, int64 [num_experts], or None; raises as `gains` does."""
        bias = checkpoint.expert_bias(layer)
        return None if bias is None else named(f"model.layers.{layer}.mlp.expert_bias", self.router.biases, bias)


def named(name: str, constants: Callable[[Tensor], Tensor], vector: Tensor) -> Tensor:
    """`constants(vector)`, its errors naming the tensor."""
    try:
        return constants(vector)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


class HardwiredMatrix:
    """An array followed by its row scales: int8 packets in, fixed-point vectors out.

    Sums are exact because every partial sum stays below 2^53 in float64, on any device and in any order.
    """

    def __init__(self, matrix: IntegerMatrix, name: str, units: Units, device: torch.device) -> None:
        bound = int(matrix.weights.abs().sum(1, dtype=torch.int64).max()) * units.quantize.limit
        if bound >= EXACT:
            raise UserError(f"{name}: sums of up to {bound} are not exact in float64; quantize with a smaller spread")
        self.rescale = units.rescale
        self.weights = matrix.weights.to(device, torch.float64)
        self.mant = matrix.mant.to(device, torch.int64)
        self.shift = -matrix.exp.to(device, torch.int64)

    def __call__(self, packet: tuple[Tensor, Tensor]) -> Tensor:
        q, scale = packet
        acc = (q.double() @ self.weights.T).to(torch.int64)
        return self.rescale.compute(acc, self.mant, self.shift, scale)


class Embedding:
    """Rows of the embedding matrix as fixed-point vectors."""

    def __init__(self, matrix: IntegerMatrix, device: torch.device) -> None:
        self.weights = matrix.weights.to(device, torch.int64)
        self.mant = matrix.mant.to(device, torch.int64)[:, None]
        self.shift = -matrix.exp.to(device, torch.int64)[:, None]

    def __call__(self, tokens: Tensor) -> Tensor:
        shift = self.shift[tokens] - FIXED.frac
        return FIXED.round(self.weights[tokens] * self.mant[tokens], shift)


class LayerEngine:
    """One transformer layer; `prefix` names its probe points."""

    def __init__(self, checkpoint: QuantizedCheckpoint, units: Units, layer: int, device: torch.device) -> None:
        config, base = checkpoint.config, f"model.layers.{layer}."
        self.units, self.heads, self.prefix = units, config.num_attention_heads, f"layer.{layer}."

        def matrix(name: str) -> HardwiredMatrix:
            return HardwiredMatrix(checkpoint.integers(base + name), base + name, units, device)

        self.q, self.k, self.v, self.o = (matrix(f"self_attn.{n}_proj.weight") for n in "qkvo")
        self.q_gain, self.k_gain = (units.gains(checkpoint, layer, n).to(device) for n in "qk")
        self.router = matrix("mlp.gate.weight")
        biases = units.biases(checkpoint, layer)
        self.biases = None if biases is None else biases.to(device)
        self.experts = [
            tuple(matrix(f"mlp.experts.{e}.{n}_proj.weight") for n in ("gate", "up", "down"))
            for e in range(config.num_experts)
        ]

    def attention(self, x: Tensor, angles: tuple[Tensor, Tensor], record: Recorder) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after attention, same shape."""
        packet = self.units.quantize.compute(self.units.norm.compute(x))
        record(self.prefix + "input_norm", packet[0])
        q, k, v = (m(packet).unflatten(-1, (self.heads, -1)).transpose(1, 2) for m in (self.q, self.k, self.v))
        q = self.units.quantize.compute(self.units.rope.compute(self.units.head_norm.compute(q), self.q_gain, *angles))
        k = self.units.quantize.compute(self.units.rope.compute(self.units.head_norm.compute(k), self.k_gain, *angles))
        v = self.units.quantize.compute(v)
        for name, (value, _) in (("q", q), ("k", k), ("v", v)):
            record(self.prefix + name, value.transpose(1, 2).flatten(2))
        scores = self.units.attention.scores(*q, *k)
        record(self.prefix + "attention.scores", scores.transpose(1, 2).flatten(2))
        mixed = self.units.attention.mix(scores, *v).transpose(1, 2).flatten(2)
        record(self.prefix + "attention.output", mixed)
        o = self.o(self.units.quantize.compute(mixed))
        record(self.prefix + "o", o)
        x = FIXED.saturate(x + o)
        record(self.prefix + "attention.residual", x)
        return x

    def expert(self, e: int, packet: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Gate and up, one after the other, and down, in fixed-point for packets [tokens, hidden]."""
        gate, up, down = self.experts[e]
        g, u = gate(packet), up(packet)
        return torch.cat([g, u], -1), down(self.units.quantize.compute(self.units.swiglu.compute(g, u)))

    def jobs(self, chosen: Tensor, packet: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """`expert` of every token and each of the experts `chosen` for it, [batch, positions, top_k, elements]."""
        gate, _, down = (len(matrix.weights) for matrix in self.experts[0])
        gate_ups, downs = (packet[0].new_zeros(*chosen.shape, elements) for elements in (2 * gate, down))
        for e in range(len(self.experts)):
            where = (chosen == e).nonzero(as_tuple=True)
            if len(where[0]):
                gate_ups[where], downs[where] = self.expert(e, (packet[0][where[:-1]], packet[1][where[:-1]]))
        return gate_ups, downs

    def moe(self, x: Tensor, record: Recorder) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after the experts, same shape."""
        packet = self.units.quantize.compute(self.units.norm.compute(x))
        record(self.prefix + "post_norm", packet[0])
        logits = self.router(packet)
        record(self.prefix + "router.logits", logits)
        chosen, weights = self.units.router.compute(logits, self.biases)
        record(self.prefix + "router.experts", chosen)
        record(self.prefix + "router.weights", weights)
        gate_up, down = self.jobs(chosen, packet)
        record(self.prefix + "expert.gate_up", gate_up.flatten(2))
        record(self.prefix + "expert.down", down.flatten(2))
        moe = self.units.combine.compute((weights[..., None] * down).sum(-2))
        record(self.prefix + "moe", moe)
        x = FIXED.saturate(x + moe)
        record(self.prefix + "residual", x)
        return x


class IntegerModel:
    """The chip in integers: an `Engine` for `golden.samplers.denoise`.

    Parameters
    ----------
    checkpoint: quantized checkpoint.
    device: any torch device; integers are identical on all of them.
    """

    def __init__(self, checkpoint: QuantizedCheckpoint, device: str | torch.device = "cpu") -> None:
        self.config, self.device = checkpoint.config, torch.device(device)
        self.units = Units.of(self.config)
        self.embedding = Embedding(checkpoint.integers("model.embed_tokens.weight"), self.device)
        self.layers = [
            LayerEngine(checkpoint, self.units, layer, self.device) for layer in range(self.config.num_hidden_layers)
        ]
        self.head = HardwiredMatrix(checkpoint.integers("lm_head.weight"), "lm_head.weight", self.units, self.device)

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
        cosine, sine = self.units.rope.angles(tokens.shape[1])
        angles = cosine.to(self.device), sine.to(self.device)
        x = self.embedding(tokens)
        record("embedding", x)
        for layer in self.layers:
            x = layer.moe(layer.attention(x, angles, record), record)
        packet = self.units.quantize.compute(self.units.norm.compute(x))
        record("final_norm", packet[0])
        logits = self.head(packet)
        record("logits", logits)
        return logits

    def logits(self, tokens: Tensor) -> Tensor:
        """As `forward`, in float32."""
        return self.forward(tokens).float() * 2.0**-FIXED.frac

    def predict(self, tokens: Tensor, record: Recorder = lambda name, value: None) -> Prediction:
        """Token and spread of every position; see `golden.units.argmax`."""
        token, spread = self.units.argmax.compute(self.forward(tokens, record))
        record("argmax.token", token[..., None])
        record("argmax.spread", spread[..., None])
        return Prediction(token.cpu(), spread.cpu())

    @staticmethod
    def spread_limit(threshold: float) -> int:
        """What a spread must stay below for a probability above `threshold`: register SPREAD_LIMIT, of 32 bits."""
        return min(math.ceil(65536 / Fraction(threshold)), (1 << 32) - 1)
