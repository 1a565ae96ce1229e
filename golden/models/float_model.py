"""LLaDA-MoE in floating point: a Transformer encoder whose feed-forward layers are mixtures of experts.

Reads from top to bottom like the paper (arXiv 2509.24389). Module names are those of the published checkpoints, so
`state_dict()` keys are checkpoint tensor names. Every matrix and every vector that enters a matrix passes through a
`Numerics` object: the identity here, fake quantization in `golden.training.fake_quant`.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.checkpoints.checkpoint import Checkpoint
from golden.checkpoints.config import ModelConfig
from golden.samplers.denoise import Prediction

__all__ = ["FloatEngine", "LLaDAMoE", "MixtureOfExperts", "Numerics", "RMSNorm", "apply_rotary", "rotary_tables"]


class Numerics:
    """What a matrix and an activation look like to the arithmetic. This one changes nothing."""

    def matrix(self, weight: Tensor, gain: Tensor | None = None) -> Tensor:
        """`weight` [rows, columns] with the gain [columns] of the norm before it folded in."""
        return weight if gain is None else weight * gain

    def vector(self, x: Tensor) -> Tensor:
        """An activation packet: `x` [..., elements], one scale for the last axis."""
        return x


class RMSNorm(nn.Module):
    """x / rms(x), the gain kept apart because it folds into the matrix that follows."""

    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis of `x` [..., size], without the gain."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


def rotary_tables(positions: int, head_dim: int, theta: float, device: torch.device | None = None):
    """Cosines and sines [positions, head_dim] of rotary embedding; both halves of `head_dim` hold the same angles."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64, device=device) / head_dim)
    angle = torch.arange(positions, dtype=torch.float64, device=device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate `x` [..., positions, head_dim]: element i pairs with element i + head_dim / 2 (rotate-half)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


class Attention(nn.Module):
    """Full bidirectional attention, RMSNorm over every head of q and k before RoPE."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.heads, self.head_dim = config.num_attention_heads, config.head_dim
        width = self.heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(self.head_dim, config.rms_norm_eps)

    def forward(self, x: Tensor, gain: Tensor, rotary: tuple[Tensor, Tensor], numerics: Numerics) -> Tensor:
        """Normalised `x` [batch, positions, hidden_size] to the same shape; `gain` belongs to the norm before."""

        def heads(proj: nn.Linear) -> Tensor:
            y = F.linear(x, numerics.matrix(proj.weight, gain))
            return y.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)

        q = apply_rotary(self.q_norm(heads(self.q_proj)) * self.q_norm.weight, *rotary)
        k = apply_rotary(self.k_norm(heads(self.k_proj)) * self.k_norm.weight, *rotary)
        v = heads(self.v_proj)
        y = F.scaled_dot_product_attention(numerics.vector(q), numerics.vector(k), numerics.vector(v))
        y = numerics.vector(y.transpose(1, 2).flatten(-2))
        return F.linear(y, numerics.matrix(self.o_proj.weight))


class Expert(nn.Module):
    """One SwiGLU feed-forward network."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.expert_intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.expert_intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.expert_intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor, gain: Tensor, numerics: Numerics) -> Tensor:
        """Normalised `x` [tokens, hidden_size] to the same shape."""
        gate = F.linear(x, numerics.matrix(self.gate_proj.weight, gain))
        up = F.linear(x, numerics.matrix(self.up_proj.weight, gain))
        return F.linear(numerics.vector(F.silu(gate) * up), numerics.matrix(self.down_proj.weight))


class Router(nn.Module):
    """Softmax over all experts, the bias added, then the k largest; these are the weights, not renormalised."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.top_k = config.num_experts_per_tok
        self.weight = nn.Parameter(torch.empty(config.num_experts, config.hidden_size))
        nn.init.normal_(self.weight, std=config.hidden_size**-0.5)

    def forward(self, x: Tensor, gain: Tensor, bias: Tensor | None, numerics: Numerics):
        """Normalised `x` [tokens, hidden_size] to logits [tokens, experts], chosen experts and weights [tokens, k].

        Weights include `bias` [experts], so that they may be negative or above 1; ties go to the lowest expert.
        """
        logits = F.linear(x, numerics.matrix(self.weight, gain))
        score = logits.softmax(-1)
        if bias is not None:
            score = score + bias
        chosen = torch.sort(score, dim=-1, descending=True, stable=True).indices[:, : self.top_k]
        return logits, chosen, score.gather(-1, chosen)


class MixtureOfExperts(nn.Module):
    """A router and its experts, with a bias of the scores where the checkpoint has one."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate = Router(config)
        self.experts = nn.ModuleList(Expert(config) for _ in range(config.num_experts))
        self.register_buffer("expert_bias", torch.zeros(config.num_experts) if config.has_expert_bias else None)

    def forward(self, x: Tensor, gain: Tensor, numerics: Numerics) -> tuple[Tensor, Tensor]:
        """Normalised `x` [batch, positions, hidden_size] to the same shape, and router logits [tokens, experts]."""
        tokens = x.flatten(0, 1)
        logits, chosen, weight = self.gate(tokens, gain, self.expert_bias, numerics)
        out = torch.zeros_like(tokens)
        for index, expert in enumerate(self.experts):
            token, slot = (chosen == index).nonzero(as_tuple=True)
            if len(token):
                y = expert(tokens[token], gain, numerics) * weight[token, slot, None]
                out = out.index_add(0, token, y)
        return out.view_as(x), logits


class Layer(nn.Module):
    """x += attention(norm(x)); x += experts(norm(x))."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MixtureOfExperts(config)

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], numerics: Numerics) -> tuple[Tensor, Tensor]:
        """`x` [batch, positions, hidden_size] to the same shape, and router logits [tokens, experts]."""
        norm = self.input_layernorm
        x = x + self.self_attn(numerics.vector(norm(x)), norm.weight, rotary, numerics)
        norm = self.post_attention_layernorm
        y, router_logits = self.mlp(numerics.vector(norm(x)), norm.weight, numerics)
        return x + y, router_logits


class Body(nn.Module):
    """Embedding, layers and final norm: what the checkpoints call `model`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class LLaDAMoE(nn.Module):
    """The whole model in float32; `numerics` may be replaced at any time, between two forward passes."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.numerics = Numerics()
        self.model = Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @classmethod
    def from_checkpoint(cls, path: str | Path) -> "LLaDAMoE":
        """Load a Hugging Face folder as float32. Raises `UserError` for anything wrong with the folder."""
        checkpoint = Checkpoint(path)
        with torch.device("meta"):
            model = cls(checkpoint.config)
        tensors = {name: checkpoint.tensor(name).float() for name in model.state_dict()}
        model.load_state_dict(tensors, assign=True)
        return model.eval()

    def forward_with_router(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """`forward`, and the router logits [batch * positions, experts] of every layer."""
        config = self.config
        rotary = rotary_tables(tokens.shape[1], config.head_dim, config.rope_theta, tokens.device)
        x = F.embedding(tokens, self.numerics.matrix(self.model.embed_tokens.weight))
        router_logits = []
        for layer in self.model.layers:
            x, logits = layer(x, rotary, self.numerics)
            router_logits.append(logits)
        norm = self.model.norm
        x = self.numerics.vector(norm(x))
        return F.linear(x, self.numerics.matrix(self.lm_head.weight, norm.weight)), router_logits

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids int64 [batch, positions] to logits float32 [batch, positions, vocab_size]."""
        return self.forward_with_router(tokens)[0]


class FloatEngine:
    """The float model as an engine; spreads are float64."""

    def __init__(self, model: LLaDAMoE):
        self.model = model

    @torch.inference_mode()
    def predict(self, tokens: Tensor) -> Prediction:
        return self.prediction(self.model(tokens.to(self.model.lm_head.weight.device)).cpu())

    @staticmethod
    def prediction(logits: Tensor) -> Prediction:
        """Logits [batch, positions, vocabulary] to tokens and spreads."""
        logits = logits.double()
        spread = (logits - logits.amax(-1, keepdim=True)).exp().sum(-1)
        return Prediction(logits.argmax(-1), spread)

    @staticmethod
    def spread_limit(threshold: float) -> float:
        return 1 / threshold
