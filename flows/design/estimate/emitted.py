"""Cycles of a forward pass on a chip as `hardloom generate` writes it: one sequence at a time, layer after layer.

A layer's first score needs the keys of all positions, so a layer starts when the last position has left the one before;
while it walks over positions, heads and keys, one key a cycle, what it has finished goes on through its experts and
into the next layer. So a pass takes, layer after layer, the time of that layer's busiest unit for all positions, and
the way of the last position. Latencies are those that the units of `gen/units` state.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gen.design.features import check_features
from golden.errors import UserError
from golden.shape import AttentionShape, ExpertsShape, ModelShape

__all__ = ["Emitted", "why_not_emitted"]


def why_not_emitted(shape: ModelShape, sampler: str) -> str | None:
    """Why `hardloom generate` writes no chip of a model; None where it does."""
    try:
        check_features(shape)
    except UserError as error:
        return f"`hardloom generate` cannot write this model ({error})"
    if sampler != "whole":
        return f"`hardloom generate` writes chips that compute whole sequences, without the sampler {sampler}"
    return None


@dataclass(frozen=True)
class Emitted:
    """A chip as emitted.

    Attributes
    ----------
    lanes: elements a beat of every stream.
    packet_cycles: of one array of each kind, from one packet to the next.
    expert_share: share of the positions that meets the busiest expert.
    """

    shape: ModelShape
    lanes: int
    packet_cycles: Mapping[str, float]
    expert_share: float

    @property
    def attention(self) -> AttentionShape:
        return self.shape.layers[0].attention

    @property
    def experts(self) -> ExpertsShape:
        mlp = self.shape.layers[0].mlp
        assert isinstance(mlp, ExpertsShape)  # as `check_features` asks for, of every layer
        return mlp

    def beats(self, elements: int) -> int:
        """Beats of a packet of `elements`."""
        return -(-elements // self.lanes)

    def layer_units(self, positions: float) -> dict[str, float]:
        """Cycles that one position costs each unit of a layer, from the attention to the next layer's q, k and v."""
        experts, packet = self.experts, self.packet_cycles
        hidden, head = self.beats(self.shape.hidden_size), self.beats(self.attention.head_dim)
        return {
            "attention": self.attention.num_heads * max(positions, head + 2),
            "qkv": packet["qkv"],
            "o": packet["o"],
            "router": max(packet["router"], experts.num_experts),
            "dispatch": experts.top_k * (hidden + 1),
            "gate_up": packet["gate_up"] * self.expert_share,
            "SwiGLU": experts.top_k * self.beats(experts.intermediate_size),
            "down": packet["down"] * self.expert_share,
            "combine": experts.top_k * hidden,
        }

    def fill(self) -> float:
        """Cycles from a position's last beat into a layer until its q, k and v are stored there."""
        hidden, head = self.beats(self.shape.hidden_size), self.beats(self.attention.head_dim)
        norm_and_quantize, heads = 3 * hidden + 16, 4 * head + 22
        return norm_and_quantize + self.packet_cycles["qkv"] + 2 + heads

    def drain(self, positions: float) -> float:
        """Cycles from the last key's operands to the last beat of that position out of the layer."""
        experts, packet = self.experts, self.packet_cycles
        hidden, middle = self.beats(self.shape.hidden_size), self.beats(experts.intermediate_size)
        attention = positions + 20 + self.beats(self.attention.head_dim)
        o = hidden + 4 + packet["o"] + 3
        router = 3 * hidden + 16 + packet["router"] + 2 + self.beats(experts.num_experts)
        router += 2 * experts.num_experts + 15
        expert = hidden + 1 + packet["gate_up"] + 6 + middle + 4 + packet["down"] + 2
        others = (experts.top_k - 1) * max(hidden + 1, middle)
        return attention + o + router + expert + others + 3

    def head(self) -> float:
        """Cycles from the last position's last beat out of the last layer to its token."""
        hidden, vocabulary = self.beats(self.shape.hidden_size), self.beats(self.shape.vocab_size)
        return 3 * hidden + 16 + self.packet_cycles["head"] + 2 + 2 * vocabulary + 7

    def forward_cycles(self, positions: float, block: float, tokens: float) -> float:
        """Of one pass over `positions` that commits `tokens` of a block of `block`, the sampler's scans included."""
        layers, units = len(self.shape.layers), self.layer_units(positions)
        first = positions * max(self.packet_cycles["qkv"], self.beats(self.shape.hidden_size)) + self.fill()
        between = positions * max(units.values()) + self.drain(positions) + self.fill()
        last = positions * max(*units.values(), self.packet_cycles["head"]) + self.drain(positions) + self.head()
        return first + (layers - 1) * between + last + (tokens + 1) * (block + 3) + block
