"""The parts of a layer in integers, composed like the chip's, bit for bit, with named probe points."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor

from golden.errors import UserError
from golden.models.layer_units import Units, constants
from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantized import QuantizedCheckpoint
from golden.shape import AttentionShape, ExpertsShape
from golden.units.quantize import Quantize
from golden.units.rescale import Rescale

__all__ = ["AttentionEngine", "DenseEngine", "ExpertsEngine", "Parts", "Recorder"]

Recorder = Callable[[str, Tensor], None]
"""Called with a probe point's name and its integers, [batch, positions, elements].

`expert.gate_up` and `expert.down` are the results of the chosen experts, best first."""

Packet = tuple[Tensor, Tensor]
"""Activations int64 [..., elements] and their scale int64 [..., 1]."""

EXACT = 1 << 53
"""Integers below it are exact in float64."""


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
        norms = "qk" if shape.head_norms else ""
        gains = [self.units.gains(parts.checkpoint, parts.layer, n).to(parts.device) for n in norms]
        self.q_gain: Tensor | None
        self.k_gain: Tensor | None
        self.q_gain, self.k_gain = gains or (None, None)

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

    def turned(self, x: Tensor, gain: Tensor | None, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Queries or keys with head norm and its gain, where there is one, and rotary embedding."""
        rope, turned = self.units.rope, self.shape.rotary_dim
        x = self.clipped(x if gain is None else rope.scaled(self.units.head_norm.compute(x), gain))
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
