"""Every family's model in floating point, composed from the one description of `golden.shape`.

Reads from top to bottom like the papers: attention, experts or a dense network, layers, head. `state_dict()` keys are
the names of `ModelShape.tensors`. Every matrix, every vector that enters one and the residual stream pass through an
`Arithmetic` object: the identity here, fake quantization in `golden.training.fake_quant`, notes of their ranges in
`golden.calibration`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.errors import UserError
from hardloom.golden.models.credit import Credit
from hardloom.golden.models.manners import Manners
from hardloom.golden.models.positions import Positions, apply_rotary
from hardloom.golden.samplers.denoise import CERTAIN, Prediction
from hardloom.golden.samplers.kept import Kept, Shared, alike
from hardloom.golden.samplers.manner import AMOUNT_FRAC, Manner
from hardloom.golden.shape import AttentionShape, DenseShape, ExpertsShape, LayerShape, ModelShape
from hardloom.golden.units.gumbel import GUMBEL_FRAC

__all__ = [
    "Arithmetic",
    "FloatEngine",
    "FloatModel",
    "Layer",
    "MixtureOfExperts",
    "RMSNorm",
    "Routing",
]


Keep = Callable[[Tensor, Tensor], tuple[Tensor, ...]]
"""Keys and values that a layer computes, [batch, heads, positions, head_dim] each, to those that its queries see."""


def in_place(*computed: Tensor) -> tuple[Tensor, ...]:
    """Queries see what is computed with them."""
    return computed


class Arithmetic:
    """What a matrix and an activation look like to the arithmetic. This one changes nothing.

    gains: as in `Numerics`: where `folded`, matrices take in the gain of the norm before them.
    """

    gains = "folded"

    def matrix(self, weight: Tensor, gain: Tensor | None = None) -> Tensor:
        """`weight` [rows, columns] with the gain [columns] of the norm before it folded in."""
        return weight if gain is None else weight * gain

    def vector(self, x: Tensor, site: str) -> Tensor:
        """An activation packet: `x` [..., elements], one scale for the last axis; `site` as in `ActivationBits`."""
        return x

    def residual(self, x: Tensor) -> Tensor:
        """The residual stream, [batch, positions, hidden_size], after an addition."""
        return x

    def norm(self, norm: "RMSNorm", x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The packet behind a norm, and the gain that the matrices behind it take in; None where the packet has it."""
        if self.gains == "folded":
            return self.vector(norm(x), "norm"), norm.weight
        return self.vector(norm(x) * norm.weight, "norm"), None

    def linear(self, x: Tensor, weight: Tensor, gain: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """Packets `x` [..., columns] times `matrix(weight, gain)`, [..., rows]."""
        return F.linear(x, self.matrix(weight, gain), bias)


class RMSNorm(nn.Module):
    """x / rms(x), the gain kept apart because it folds into the matrix that follows."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x` [..., size], without the gain."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


class Attention(nn.Module):
    """Attention of any kind that `AttentionShape` describes."""

    def __init__(self, hidden: int, shape: AttentionShape, eps: float):
        super().__init__()
        self.shape = shape
        self.q_proj = nn.Linear(hidden, shape.query_width, bias=shape.bias)
        self.k_proj = nn.Linear(hidden, shape.key_value_width, bias=shape.bias)
        self.v_proj = nn.Linear(hidden, shape.key_value_width, bias=shape.bias)
        self.o_proj = nn.Linear(shape.query_width, hidden, bias=False)
        if shape.head_norms:
            self.q_norm = RMSNorm(shape.head_dim, eps)
            self.k_norm = RMSNorm(shape.head_dim, eps)

    def forward(
        self, x: Tensor, gain: Tensor | None, positions: Positions, arithmetic: Arithmetic, keep: Keep = in_place
    ) -> Tensor:
        """Normalised `x` [batch, positions, hidden_size] to the same shape; `gain` belongs to the norm before."""
        shape = self.shape

        def heads(proj: nn.Linear, norm: RMSNorm | None = None) -> Tensor:
            y = arithmetic.linear(x, proj.weight, gain, proj.bias)
            y = y.unflatten(-1, (-1, shape.head_dim)).transpose(1, 2)
            y = y if norm is None else norm(y) * norm.weight
            return y if shape.clip is None else y.clamp(-shape.clip, shape.clip)

        norms = (self.q_norm, self.k_norm) if shape.head_norms else (None, None)
        q = arithmetic.vector(apply_rotary(heads(self.q_proj, norms[0]), *positions.rotary), "query")
        k = arithmetic.vector(apply_rotary(heads(self.k_proj, norms[1]), *positions.rotary), "key")
        v = arithmetic.vector(heads(self.v_proj), "value")
        k, v = keep(k, v)
        shared = shape.num_heads // shape.num_key_value_heads
        k, v = (y.repeat_interleave(shared, dim=1) for y in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=positions.mask)
        y = arithmetic.vector(y.transpose(1, 2).flatten(-2), "mix")
        return arithmetic.linear(y, self.o_proj.weight)


class SwiGLU(nn.Module):
    """One feed-forward network: an expert, a shared expert or a dense layer's."""

    def __init__(self, hidden: int, width: int):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor, gain: Tensor | None, arithmetic: Arithmetic) -> Tensor:
        """Normalised `x` [..., hidden_size] to the same shape."""
        gate = arithmetic.linear(x, self.gate_proj.weight, gain)
        up = arithmetic.linear(x, self.up_proj.weight, gain)
        return arithmetic.linear(arithmetic.vector(F.silu(gate) * up, "swiglu"), self.down_proj.weight)


class Routing(NamedTuple):
    """What a router makes of tokens: logits [..., experts], and the chosen experts and their weights [..., k]."""

    logits: Tensor
    chosen: Tensor
    weight: Tensor


class Router(nn.Module):
    """Scores of all experts, and the chosen ones with their weights, as `ExpertsShape` says."""

    def __init__(self, hidden: int, shape: ExpertsShape, block_length: int | None):
        super().__init__()
        self.shape, self.block_length = shape, block_length
        self.weight = nn.Parameter(torch.empty(shape.num_experts, hidden))
        nn.init.normal_(self.weight, std=hidden**-0.5)

    def forward(self, x: Tensor, gain: Tensor | None, bias: Tensor | None, arithmetic: Arithmetic) -> Routing:
        """Of normalised `x` [batch, positions, hidden_size]; ties go to the lowest expert. bias: [experts] or None."""
        shape = self.shape
        logits = arithmetic.linear(x, self.weight, gain)
        score = logits.softmax(-1) if shape.score == "softmax" else logits.sigmoid()
        ranking = score if bias is None else score + bias
        eligible = self.in_best_groups(ranking) & self.admitted(ranking)
        ranked = torch.sort(ranking.masked_fill(~eligible, -torch.inf), dim=-1, descending=True, stable=True).indices
        chosen = ranked[..., : shape.top_k]
        weight = (ranking if shape.bias == "mixing" else score).gather(-1, chosen)
        if shape.renormalise:
            weight = weight / (weight.sum(-1, keepdim=True) + 1e-20)
        return Routing(logits, chosen, weight * shape.scale)

    def in_best_groups(self, ranking: Tensor) -> Tensor:
        """Experts of the token's best groups, by the sum of a group's two best; bool like `ranking`."""
        shape = self.shape
        groups = ranking.unflatten(-1, (shape.groups, -1))
        size = groups.shape[-1]
        totals = groups.topk(min(2, size)).values.sum(-1)
        best = torch.sort(totals, dim=-1, descending=True, stable=True).indices[..., : shape.top_groups]
        return torch.zeros_like(totals, dtype=torch.bool).scatter(-1, best, True).repeat_interleave(size, -1)

    def admitted(self, ranking: Tensor) -> Tensor:
        """Experts that a token's block may use: the `capacity` best by the block's largest score; bool."""
        if not self.shape.capacity:
            return torch.ones_like(ranking, dtype=torch.bool)
        assert self.block_length is not None
        allowed = torch.zeros_like(ranking, dtype=torch.bool)
        for start in range(0, ranking.shape[1], self.block_length):
            block = slice(start, start + self.block_length)
            largest = ranking[:, block].amax(1, keepdim=True)
            order = torch.sort(largest, dim=-1, descending=True, stable=True).indices[..., : self.shape.capacity]
            allowed[:, block] = torch.zeros_like(largest, dtype=torch.bool).scatter(-1, order, True)
        return allowed


class MixtureOfExperts(nn.Module):
    """A router and its experts, and an expert that serves every token where there is one."""

    def __init__(self, hidden: int, shape: ExpertsShape, block_length: int | None):
        super().__init__()
        self.gate = Router(hidden, shape, block_length)
        self.experts = nn.ModuleList(SwiGLU(hidden, shape.intermediate_size) for _ in range(shape.num_experts))
        self.register_buffer("expert_bias", torch.zeros(shape.num_experts) if shape.bias else None)
        if shape.shared_size:
            self.shared_experts = SwiGLU(hidden, shape.shared_size)

    def forward(self, x: Tensor, gain: Tensor | None, arithmetic: Arithmetic) -> tuple[Tensor, Routing]:
        """Normalised `x` [batch, positions, hidden_size] to the same shape, and how its tokens were routed."""
        routing = Routing(*(part.flatten(0, 1) for part in self.gate(x, gain, self.expert_bias, arithmetic)))
        tokens, (_, chosen, weight) = x.flatten(0, 1), routing
        out = torch.zeros_like(tokens)
        for index, expert in enumerate(self.experts):
            token, slot = (chosen == index).nonzero(as_tuple=True)
            if len(token):
                y = expert(tokens[token], gain, arithmetic) * weight[token, slot, None]
                out = out.index_add(0, token, y)
        if self.gate.shape.shared_size:
            out = out + self.shared_experts(tokens, gain, arithmetic)
        return out.view_as(x), routing


class Layer(nn.Module):
    """x += attention(norm(x)); x += mlp(norm(x))."""

    def __init__(self, model: ModelShape, shape: LayerShape):
        super().__init__()
        hidden, eps = model.hidden_size, model.rms_norm_eps
        self.input_layernorm = RMSNorm(hidden, eps)
        self.self_attn = Attention(hidden, shape.attention, eps)
        self.post_attention_layernorm = RMSNorm(hidden, eps)
        self.mlp: nn.Module
        if isinstance(shape.mlp, DenseShape):
            self.mlp = SwiGLU(hidden, shape.mlp.intermediate_size)
        else:
            self.mlp = MixtureOfExperts(hidden, shape.mlp, shape.attention.block_length)

    def forward(
        self, x: Tensor, positions: Positions, arithmetic: Arithmetic, keep: Keep = in_place
    ) -> tuple[Tensor, Routing | None]:
        """`x` [batch, positions, hidden_size] to the same shape, and how its tokens were routed if it routes."""
        packet = arithmetic.norm(self.input_layernorm, x)
        x = arithmetic.residual(x + self.self_attn(*packet, positions, arithmetic, keep))
        y = self.mlp(*arithmetic.norm(self.post_attention_layernorm, x), arithmetic)
        y, routing = y if isinstance(y, tuple) else (y, None)
        return arithmetic.residual(x + y), routing


class Body(nn.Module):
    """Embedding, layers and final norm: what the checkpoints call `model`."""

    def __init__(self, shape: ModelShape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape, layer) for layer in shape.layers)
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class FloatModel(nn.Module):
    """The whole model in float32; `arithmetic` may be replaced at any time, between two forward passes.

    A tied head is a matrix of its own here. Raises `UserError` for a model that is only counted.
    """

    def __init__(self, shape: ModelShape):
        super().__init__()
        if shape.uncomputed:
            raise UserError(f"{shape.family} has {' and '.join(shape.uncomputed)}, which nothing here computes")
        self.shape = shape
        self.arithmetic = Arithmetic()
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> "FloatModel":
        """Load a Hugging Face folder as float32. Raises `UserError` for anything wrong with the folder."""
        checkpoint = Checkpoint(path)
        with torch.device("meta"):
            model = cls(checkpoint.model)
        tensors = {tensor.name: checkpoint.tensor(tensor.name).float() for tensor in checkpoint.model.tensors()}
        model.load_state_dict(tensors, assign=True)
        return model.eval()

    @torch.no_grad()
    def adapt(self, lora: Mapping[str, LowRank]) -> None:
        """Add adapters, by the names of their matrices, to the weights."""
        weights = dict(self.named_parameters())
        for name, one in lora.items():
            weights[name].add_((one.up @ one.down).to(weights[name].device))

    def forward_with_routing(
        self, tokens: Tensor, positions: Mapping[AttentionShape, Positions] | None = None, kept: Shared | None = None
    ) -> tuple[Tensor, list[Routing]]:
        """`forward`, and how every layer that has experts routed all tokens, [batch * positions, ...].

        positions: where the tokens stand and what they see, for each kind of attention; None: one behind the other, as
        the model's shape says. kept: keys and values of positions that are not among these, which see all.
        """
        tokens = tokens.where(tokens < self.shape.vocab_size, 0)
        kinds = dict.fromkeys(shape.attention for shape in self.shape.layers)
        if positions is None:
            self.shape.check_positions(tokens.shape[1])
            positions = {kind: Positions.of(kind, tokens.shape[1], tokens.device) for kind in kinds}
        x = self.arithmetic.residual(F.embedding(tokens, self.arithmetic.matrix(self.model.embed_tokens.weight)))
        routings = []
        for number, (layer, shape) in enumerate(zip(self.model.layers, self.shape.layers, strict=True)):
            keep = in_place if kept is None else partial(kept.of_all, number)
            x, routing = layer(x, positions[shape.attention], self.arithmetic, keep)
            if routing is not None:
                routings.append(routing)
        x, gain = self.arithmetic.norm(self.model.norm, x)
        return self.arithmetic.linear(x, self.lm_head.weight, gain), routings

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids int64 [batch, positions] to logits float32 [batch, positions, vocab_size]."""
        return self.forward_with_routing(tokens)[0]

    def of_span(self, tokens: Tensor, kept: Shared) -> Tensor:
        """`forward` of the positions of a span, which keys and values of the others are kept for."""
        self.shape.check_positions(tokens.shape[1])
        span, kinds = kept.span, dict.fromkeys(shape.attention for shape in self.shape.layers)
        places = torch.arange(span.start, span.stop, device=tokens.device)
        positions = {kind: Positions.at(kind, places, None) for kind in kinds}
        return self.forward_with_routing(tokens[:, places], positions, kept)[0]


MOST_SPREAD = 2.0**36
"""Of a token that noise has chosen: more than that of any which the integer model may choose."""


class FloatEngine:
    """The float model as an engine; spreads are computed in float64 and rounded."""

    def __init__(self, model: FloatModel):
        self.model = model

    @torch.inference_mode()
    def predict(
        self,
        tokens: Tensor,
        wanted: Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
    ) -> Prediction:
        asked = Manners.of(manners, len(tokens))
        logits = self._logits(tokens, kept)
        if asked.guided:
            unprompted = asked.without_prompts(tokens, self.model.shape.mask_token)
            without = self._logits(unprompted, kept, "without the prompt")
            logits += (logits - without) * asked.field("guidance")[:, None, None] * 2.0**-AMOUNT_FRAC
        shift = self.model.shape.shift
        return self.prediction(logits, asked, shift).shifted(shift)

    def _logits(self, tokens: Tensor, kept: Sequence[Kept] | None, name: str = "") -> Tensor:
        """Logits of the positions that each row computes, float64 [batch, positions, vocabulary], 0 of the others."""
        device, shape = self.model.lm_head.weight.device, self.model.shape
        logits = torch.zeros(*tokens.shape, shape.vocab_size, dtype=torch.float64)
        for rows, span, shared in alike(kept, len(tokens), tokens.shape[1], shape.shift, name):
            some = tokens[rows].to(device)
            found = self.model(some) if shared is None else self.model.of_span(some, shared)
            logits[rows, span.start : span.stop] = found.cpu().double()
        return logits

    @staticmethod
    def prediction(logits: Tensor, manners: Manners | None = None, shift: int = 0) -> Prediction:
        """Logits [batch, positions, vocabulary] to tokens and spreads; as `golden.units.argmax.Argmax`. shift: by which
        they are before what they predict, and what that has credit for."""
        shape, vocab_size = logits.shape[:2], logits.shape[-1]
        row, position = torch.ones(shape).nonzero().unbind(1)
        manners, logits = manners or Manners.of(None, len(logits)), logits.double().flatten(0, 1)
        off, noise = manners.suppressed(row, vocab_size), manners.noise(row, position, vocab_size)
        if off is not None:
            logits = logits.masked_fill(off, -torch.inf)
        pairs = None
        if manners.credited:
            logits, pairs = _credited(logits, manners, row, position + shift)
            pairs = pairs.view(*shape, *pairs.shape[1:])
        noisy = logits if noise is None else logits + noise * 2.0 ** -(AMOUNT_FRAC + GUMBEL_FRAC)
        token = noisy.argmax(-1)
        spread = (logits - logits.gather(-1, token[:, None])).exp().sum(-1).clamp(max=MOST_SPREAD)
        return Prediction(token.view(shape), (spread * CERTAIN).round().long().view(shape), pairs)


def _credited(logits: Tensor, manners: Manners, row: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Logits float64 [n, vocabulary] that credit has raised, and the pairs behind the pass; as
    `golden.models.credit.Credit`, with power and logarithm of float64."""
    amount, decay, power = (manners.field(name)[row] for name in ("credit", "credit_decay", "credit_power"))
    best = logits.argmax(-1)
    chance = logits.softmax(-1).gather(-1, best[:, None])[:, 0]
    gain = (CERTAIN * chance ** (power.double() * 2.0**-AMOUNT_FRAC)).round().long()
    pairs = Credit().after(manners.pairs(row, position), best, gain, decay)
    token, credit = pairs.unbind(-1)
    boost = (amount.double() * 2.0**-AMOUNT_FRAC)[:, None] * (credit.double() / CERTAIN).log1p()
    return logits.scatter_add(-1, token, boost), pairs
