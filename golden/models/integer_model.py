"""The integer model: composed like the chip, bit for bit, with named probe points."""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from golden.errors import UserError
from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import Prediction
from golden.shape import AttentionShape, DenseShape, ExpertsShape, LayerShape, ModelShape
from golden.units.argmax import Argmax
from golden.units.attention import Attention
from golden.units.combine import Combine
from golden.units.fixed import FixedPoint
from golden.units.gain import Gain
from golden.units.numerics import Numerics
from golden.units.quantize import Quantize
from golden.units.rescale import Rescale
from golden.units.rmsnorm import RMSNorm
from golden.units.rope import Rope
from golden.units.router import Router
from golden.units.softmax import SoftmaxNumerator
from golden.units.swiglu import SwiGLU

__all__ = ["HardwiredMatrix", "IntegerModel", "Recorder", "Units"]

Recorder = Callable[[str, Tensor], None]
"""Called with a probe point's name and its integers, [batch, positions, elements].

`expert.gate_up` and `expert.down` are the results of the chosen experts, best first."""

Packet = tuple[Tensor, Tensor]
"""Activations int64 [..., elements] and their scale int64 [..., 1]."""

EXACT = 1 << 53
"""Integers below it are exact in float64."""


@dataclass(frozen=True)
class Units:
    """The specification objects of a layer, and of what stands around the layers, under a numeric contract.

    Golden model and hardware are built from them. router: None in a layer without experts.
    """

    numerics: Numerics
    rescale: Rescale
    norm: RMSNorm
    gain: Gain
    head_norm: RMSNorm
    rope: Rope
    attention: Attention
    router: Router | None
    swiglu: SwiGLU
    combine: Combine
    argmax: Argmax

    @classmethod
    def of(cls, model: ModelShape, numerics: Numerics, layer: LayerShape) -> "Units":
        word, attention, eps = numerics.word, layer.attention, model.rms_norm_eps
        softmax = SoftmaxNumerator(word)
        return cls(
            numerics=numerics,
            rescale=Rescale(word),
            norm=RMSNorm(model.hidden_size, eps, word),
            gain=Gain(word),
            head_norm=RMSNorm(attention.head_dim, eps, word),
            rope=Rope(attention.rotary_dim, attention.rope_theta, word),
            attention=Attention(attention.head_dim, attention.block_length, word, numerics.score),
            router=router_of(layer.mlp, softmax),
            swiglu=SwiGLU(word),
            combine=Combine(word),
            argmax=Argmax(softmax),
        )

    @property
    def word(self) -> FixedPoint:
        return self.numerics.word

    def gains(self, checkpoint: QuantizedCheckpoint, layer: int | None, projection: str) -> Tensor:
        """Constants of the head norm behind `projection`, "q" or "k": int64 [head_dim].

        Raises `UserError` naming the tensor where the hardware's word does not hold one.
        """
        return constants(checkpoint, f"{projection}_norm", layer, self.rope.gains)

    def biases(self, checkpoint: QuantizedCheckpoint, layer: int | None) -> Tensor | None:
        """Constants of the router's biases, int64 [num_experts], or None; raises as `gains` does."""
        if self.router is None or not self.router.biased:
            return None
        return constants(checkpoint, "expert_bias", layer, self.router.biases)

    def quantize(self, site: str) -> Quantize:
        """The quantizer at a site, one of the fields of `golden.units.numerics.ActivationBits`."""
        return Quantize(self.word, getattr(self.numerics.activations, site))


def router_of(mlp: DenseShape | ExpertsShape, softmax: SoftmaxNumerator) -> Router | None:
    """The router of a layer, or None; `UserError` for one that the integers do not have yet."""
    if isinstance(mlp, DenseShape):
        return None
    plain = ExpertsShape(mlp.num_experts, mlp.top_k, mlp.intermediate_size, bias=mlp.bias, shared_size=mlp.shared_size)
    if mlp != plain or mlp.bias == "selection":
        raise UserError("this model's router is computed in floating point alone, not in integers yet")
    return Router(mlp.num_experts, mlp.top_k, biased=mlp.bias is not None, numerator=softmax)


def constants(
    checkpoint: QuantizedCheckpoint, kind: str, layer: int | None, rule: Callable[[Tensor], Tensor]
) -> Tensor:
    """The vector of a kind as constants; errors of `rule` name the tensor."""
    name = checkpoint.model.tensor(kind, layer).name
    try:
        return rule(checkpoint.vector(name))
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


class HardwiredMatrix:
    """An array followed by its row scales: packets of integers in, fixed-point vectors out.

    Sums are exact because every partial sum stays below 2^53 in float64 (2^24 in float32, where that is enough), on any
    device and in any order.
    """

    def __init__(self, matrix: IntegerMatrix, name: str, rescale: Rescale, quantize: Quantize, device: torch.device):
        bound = int(matrix.weights.abs().sum(1, dtype=torch.int64).max()) * quantize.limit
        if bound >= EXACT:
            raise UserError(f"{name}: sums of up to {bound} are not exact in float64; quantize with a smaller spread")
        self.rescale = rescale
        self.weights = matrix.weights.to(device, torch.float32 if bound < 1 << 24 else torch.float64)
        self.mant = matrix.mant.to(device, torch.int64)
        self.shift = -matrix.exp.to(device, torch.int64)

    def __call__(self, packet: Packet) -> Tensor:
        q, scale = packet
        acc = (q.to(self.weights.dtype) @ self.weights.T).to(torch.int64)
        return self.rescale.compute(acc, self.mant, self.shift, scale)


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


class Parts:
    """What a layer's tensors become: matrices and constants by kind."""

    def __init__(self, checkpoint: QuantizedCheckpoint, units: Units, layer: int | None, device: torch.device) -> None:
        self.checkpoint, self.units, self.layer, self.device = checkpoint, units, layer, device

    def matrix(self, kind: str, site: str, expert: int | None = None) -> HardwiredMatrix:
        name = self.checkpoint.model.tensor(kind, self.layer, expert).name
        quantize = self.units.quantize(site)
        return HardwiredMatrix(self.checkpoint.integers(name), name, self.units.rescale, quantize, self.device)

    def vector(self, kind: str, rule: Callable[[Tensor], Tensor]) -> Tensor:
        return constants(self.checkpoint, kind, self.layer, rule).to(self.device)

    def network(self, prefix: str = "", expert: int | None = None) -> "Network":
        gate, up = (self.matrix(f"{prefix}{name}_proj", "norm", expert) for name in ("gate", "up"))
        return Network(self.units, gate, up, self.matrix(f"{prefix}down_proj", "swiglu", expert))

    def norm(self, kind: str) -> "Norm":
        behind = self.units.numerics.gains == "behind"
        return Norm(self.units, self.vector(kind, self.units.gain.constants) if behind else None)


@dataclass(frozen=True)
class Norm:
    """RMSNorm, its gain where that stands behind it, and a packet of the result."""

    units: Units
    gain: Tensor | None

    def __call__(self, x: Tensor) -> Packet:
        y = self.units.norm.compute(x)
        y = y if self.gain is None else self.units.gain.compute(y, self.gain)
        return self.units.quantize("norm").compute(y)


@dataclass(frozen=True)
class Network:
    """A SwiGLU network: an expert, a shared expert or a dense layer's."""

    units: Units
    gate: HardwiredMatrix
    up: HardwiredMatrix
    down: HardwiredMatrix

    def __call__(self, packet: Packet) -> tuple[Tensor, Tensor]:
        """Gate and up, one after the other, and down, in fixed-point for packets [..., hidden]."""
        g, u = self.gate(packet), self.up(packet)
        hidden = self.units.quantize("swiglu").compute(self.units.swiglu.compute(g, u))
        return torch.cat([g, u], -1), self.down(hidden)


class AttentionEngine:
    """x += attention(norm(x)); `prefix` names its probe points."""

    def __init__(self, parts: Parts, shape: AttentionShape, prefix: str) -> None:
        self.units, self.shape, self.prefix = parts.units, shape, prefix
        self.norm = parts.norm("input_layernorm")
        self.q, self.k, self.v = (parts.matrix(f"{n}_proj", "norm") for n in "qkv")
        self.o = parts.matrix("o_proj", "mix")
        word = partial(self.units.word.constants, what="a bias of a projection")
        self.bias = [parts.vector(f"{n}_bias", word) for n in "qkv"] if shape.bias else None
        ones = torch.full((shape.head_dim,), 1 << self.units.rope.frac, device=parts.device)
        norms = "qk" if shape.head_norms else ""
        gains = [self.units.gains(parts.checkpoint, parts.layer, n).to(parts.device) for n in norms]
        self.q_gain, self.k_gain = gains or (ones, ones)

    def heads(self, number: int, matrix: HardwiredMatrix, packet: Packet) -> Tensor:
        """The projection with this number, with its bias, [batch, heads, positions, head_dim]."""
        y = matrix(packet)
        y = y if self.bias is None else self.units.word.saturate(y + self.bias[number])
        return y.unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2)

    def clipped(self, x: Tensor) -> Tensor:
        if self.shape.clip is None:
            return x
        word = self.units.word
        limit = min(math.floor(Fraction(self.shape.clip) * (1 << word.frac) + Fraction(1, 2)), word.max)
        return x.clamp(-limit, limit)

    def turned(self, x: Tensor, gain: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Queries or keys with head norm, gain and rotary embedding."""
        rope, turned = self.units.rope, self.shape.rotary_dim
        x = self.units.head_norm.compute(x) if self.shape.head_norms else x
        x = self.clipped(rope.scaled(x, gain))
        return torch.cat([rope.rotate(x[..., :turned], *angles), x[..., turned:]], -1)

    def for_queries(self, heads: Packet) -> Packet:
        """Keys or values, one a query head: query heads that follow one another share one."""
        shared = self.shape.num_heads // self.shape.num_key_value_heads
        return heads[0].repeat_interleave(shared, dim=1), heads[1].repeat_interleave(shared, dim=1)

    def __call__(self, x: Tensor, angles: tuple[Tensor, Tensor], record: Recorder) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after attention, same shape."""
        packet, units = self.norm(x), self.units
        record(self.prefix + "input_norm", packet[0])
        q, k, v = (self.heads(n, matrix, packet) for n, matrix in enumerate((self.q, self.k, self.v)))
        queries = units.quantize("query").compute(self.turned(q, self.q_gain, angles))
        keys = units.quantize("key").compute(self.turned(k, self.k_gain, angles))
        values = units.quantize("value").compute(self.clipped(v))
        for name, (value, _) in (("q", queries), ("k", keys), ("v", values)):
            record(self.prefix + name, value.transpose(1, 2).flatten(2))
        scores = units.attention.scores(*queries, *self.for_queries(keys))
        record(self.prefix + "attention.scores", scores.transpose(1, 2).flatten(2))
        mixed = units.attention.mix(scores, *self.for_queries(values)).transpose(1, 2).flatten(2)
        record(self.prefix + "attention.output", mixed)
        o = self.o(units.quantize("mix").compute(mixed))
        record(self.prefix + "o", o)
        x = units.word.saturate(x + o)
        record(self.prefix + "attention.residual", x)
        return x


class DenseEngine:
    """x += network(norm(x))."""

    def __init__(self, parts: Parts, prefix: str) -> None:
        self.units, self.prefix = parts.units, prefix
        self.norm, self.network = parts.norm("post_attention_layernorm"), parts.network("dense.")

    def __call__(self, x: Tensor, record: Recorder) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after the network, same shape."""
        packet = self.norm(x)
        record(self.prefix + "post_norm", packet[0])
        gate_up, down = self.network(packet)
        record(self.prefix + "dense.gate_up", gate_up)
        record(self.prefix + "dense.down", down)
        x = self.units.word.saturate(x + down)
        record(self.prefix + "residual", x)
        return x


class ExpertsEngine:
    """x += experts(norm(x)), the shared expert among them."""

    def __init__(self, parts: Parts, shape: ExpertsShape, prefix: str) -> None:
        self.units, self.prefix = parts.units, prefix
        assert self.units.router is not None
        self.norm, self.router = parts.norm("post_attention_layernorm"), self.units.router
        self.scores = parts.matrix("router", "norm")
        biases = self.units.biases(parts.checkpoint, parts.layer)
        self.biases = None if biases is None else biases.to(parts.device)
        self.experts = [parts.network(expert=e) for e in range(shape.num_experts)]
        self.shared = parts.network("shared.") if shape.shared_size else None

    def jobs(self, chosen: Tensor, packet: Packet) -> tuple[Tensor, Tensor]:
        """Every token by each of the experts `chosen` for it, [batch, positions, top_k, elements]."""
        gate, down = (len(matrix.weights) for matrix in (self.experts[0].gate, self.experts[0].down))
        gate_ups, downs = (packet[0].new_zeros(*chosen.shape, elements) for elements in (2 * gate, down))
        for e, expert in enumerate(self.experts):
            where = (chosen == e).nonzero(as_tuple=True)
            if len(where[0]):
                gate_ups[where], downs[where] = expert((packet[0][where[:-1]], packet[1][where[:-1]]))
        return gate_ups, downs

    def __call__(self, x: Tensor, record: Recorder) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after the experts, same shape."""
        packet = self.norm(x)
        record(self.prefix + "post_norm", packet[0])
        logits = self.scores(packet)
        record(self.prefix + "router.logits", logits)
        chosen, weights = self.router.compute(logits, self.biases)
        record(self.prefix + "router.experts", chosen)
        record(self.prefix + "router.weights", weights)
        gate_up, down = self.jobs(chosen, packet)
        record(self.prefix + "expert.gate_up", gate_up.flatten(2))
        record(self.prefix + "expert.down", down.flatten(2))
        total = (weights[..., None] * down).sum(-2)
        moe = self.units.combine.compute(total)
        record(self.prefix + "moe", moe)
        if self.shared is not None:
            shared_gate_up, shared_down = self.shared(packet)
            record(self.prefix + "shared.gate_up", shared_gate_up)
            record(self.prefix + "shared.down", shared_down)
            moe = self.units.word.saturate(moe + shared_down)
        x = self.units.word.saturate(x + moe)
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
        cosine, sine = self.units.rope.angles(tokens.shape[1])
        angles = cosine.to(self.device), sine.to(self.device)
        x = self.embedding(tokens)
        record("embedding", x)
        for attention, mlp in self.layers:
            x = mlp(attention(x, angles, record), record)
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
