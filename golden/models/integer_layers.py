"""The halves of a layer in integers, composed like the chip's, bit for bit, with named probe points."""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from hardloom.golden.models.integer_parts import Experts, Packet, Parts, Projection, joined, pieces
from hardloom.golden.samplers.kept import Shared
from hardloom.golden.shape import AttentionShape, ExpertsShape

__all__ = ["AttentionEngine", "DenseEngine", "ExpertsEngine", "Probe"]

Probe = Callable[[str, Callable[[], Tensor]], None]
"""Called with a probe point's name and what makes its integers, [batch, positions, elements].

`expert.gate_up` and `expert.down` are the results of the chosen experts, best first."""

Heads = tuple[Tensor, Tensor]
"""Activations [batch, heads, positions, head_dim] and their scales [batch, heads, positions, 1]."""


class AttentionEngine:
    """x += attention(norm(x)); `prefix` names its probe points."""

    def __init__(self, parts: Parts, shape: AttentionShape, prefix: str) -> None:
        self.units, self.shape, self.prefix = parts.units, shape, prefix
        self.layer = parts.layer or 0
        self.norm = parts.norm("input_layernorm")
        self.q, self.k, self.v = (parts.projection(f"{n}_proj", "norm") for n in "qkv")
        self.o = parts.projection("o_proj", "mix")
        self.bias = [parts.vector(f"{n}_bias") for n in "qkv"] if shape.bias else None
        self.residual = parts.units.word_at("attention.residual")
        norms = "qk" if shape.head_norms else ""
        gains = [parts.vector(f"{n}_norm") for n in norms]
        self.scores = replace(self.units.attention, score=self.units.numerics.score).scores  # for records, not counted
        self.q_gain: Tensor | None
        self.k_gain: Tensor | None
        self.q_gain, self.k_gain = gains or (None, None)

    def heads(self, number: int, matrix: Projection, values: Tensor) -> Tensor:
        """The projection with this number, with its bias, [batch, heads, positions, head_dim]."""
        y = matrix(values)
        y = y if self.bias is None else self.units.bias.compute(y, self.bias[number])
        return y.unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2).contiguous()

    def clipped(self, x: Tensor) -> Tensor:
        return x if self.units.clip is None else self.units.clip.compute(x)

    def turned(self, x: Tensor, gain: Tensor | None, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Queries or keys with head norm and its gain, where there is one, and rotary embedding."""
        rope, turned = self.units.rope, self.shape.rotary_dim
        x = self.clipped(x if gain is None else rope.scaled(self.units.head_norm.compute(x), gain))
        if turned == x.shape[-1]:
            return rope.rotate(x, *angles)
        return torch.cat([rope.rotate(x[..., :turned], *angles), x[..., turned:]], -1)

    def for_queries(self, heads: Heads) -> Heads:
        """Keys or values, one a query head."""
        return self.shared(heads[0]), self.shared(heads[1])

    def shared(self, x: Tensor) -> Tensor:
        """What [batch, heads of keys, ...] is for each query head: those that follow one another share one."""
        shared = self.shape.num_heads // self.shape.num_key_value_heads
        return x if shared == 1 else x.repeat_interleave(shared, dim=1)

    def __call__(self, x: Tensor, angles: tuple[Tensor, Tensor], record: Probe, kept: Shared | None = None) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after attention, same shape. kept: keys and values of
        the positions that are not among these."""
        packet, units = self.norm(x), self.units
        record(self.prefix + "input_norm", lambda: packet.q)
        q, k, v = (self.heads(n, matrix, packet.value) for n, matrix in enumerate((self.q, self.k, self.v)))
        queries = units.quantize("query").compute(self.turned(q, self.q_gain, angles))
        keys = units.quantize("key").compute(self.turned(k, self.k_gain, angles))
        values = units.quantize("value").compute(self.clipped(v))
        record(self.prefix + "q", lambda: side_by_side(queries[0]))
        record(self.prefix + "k", lambda: side_by_side(keys[0]))
        record(self.prefix + "v", lambda: side_by_side(values[0]))
        top = None
        if kept is not None:
            top = self.shared(kept.largest(self.layer, values[1]))
            k, k_scale, v, v_scale = kept.of_all(self.layer, *keys, *values)
            keys, values = (k, k_scale), (v, v_scale)
        keys, values = self.for_queries(keys), self.for_queries(values)
        record(self.prefix + "attention.scores", lambda: side_by_side(self.seen_scores(*queries, *keys)))
        mixed = side_by_side(self.mixed(queries, keys, values, top))
        record(self.prefix + "attention.output", lambda: mixed)
        o = self.o(Packet(*units.quantize("mix").compute(mixed)).value)
        record(self.prefix + "o", lambda: o)
        x = self.residual.saturate_(x + o)
        record(self.prefix + "attention.residual", lambda: x)
        return x

    def seen_scores(self, q: Tensor, q_scale: Tensor, k: Tensor, k_scale: Tensor) -> Tensor:
        """Scores [batch, heads, positions, positions], 0 where a position does not see the other."""
        scores = self.scores(q, q_scale, k, k_scale)
        return scores.masked_fill(~self.units.attention.seen(0, q.shape[-2], k.shape[-2], q.device), 0)

    def mixed(self, queries: Heads, keys: Heads, values: Heads, top: Tensor | None) -> Tensor:
        """Attention, some queries after the other: fixed-point [batch, heads, positions, head_dim]. top: as
        `golden.units.attention.Attention.mix` has it."""
        out = []
        for some in pieces(queries[0].shape[2], queries[1].numel()):
            q, q_scale = queries[0][:, :, some], queries[1][:, :, some]
            seen = slice(self.units.attention.keys_of(some.stop, keys[0].shape[2]))
            k, k_scale, v, v_scale = (x[:, :, seen] for pair in (keys, values) for x in pair)
            out.append(self.units.attention.compute(q, q_scale, k, k_scale, v, v_scale, some.start, top))
        return joined(out, 2)


def side_by_side(heads: Tensor) -> Tensor:
    """[batch, heads, positions, elements] to [batch, positions, heads * elements]."""
    return heads.transpose(1, 2).flatten(2)


class DenseEngine:
    """x += network(norm(x))."""

    def __init__(self, parts: Parts, prefix: str) -> None:
        self.units, self.prefix = parts.units, prefix
        self.norm, self.network = parts.norm("post_attention_layernorm"), parts.network("dense.")
        self.residual = self.units.word_at("residual")

    def __call__(self, x: Tensor, record: Probe) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after the network, same shape."""
        packet = self.norm(x)
        record(self.prefix + "post_norm", lambda: packet.q)
        gate, up, down = self.network(packet.value)
        record(self.prefix + "dense.gate_up", lambda: torch.cat([gate, up], -1))
        record(self.prefix + "dense.down", lambda: down)
        x = self.residual.saturate_(x + down)
        record(self.prefix + "residual", lambda: x)
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
        self.experts = Experts([parts.network(expert=e) for e in range(shape.num_experts)])
        self.shared = parts.network("shared.") if shape.shared_size else None
        self.with_shared, self.residual = (self.units.word_at(site) for site in ("moe.shared", "residual"))

    def __call__(self, x: Tensor, record: Probe) -> Tensor:
        """Fixed-point [batch, positions, hidden] to the residual after the experts, same shape."""
        packet = self.norm(x)
        record(self.prefix + "post_norm", lambda: packet.q)
        logits = self.scores(packet.value)
        record(self.prefix + "router.logits", lambda: logits)
        chosen, weights = self.router.compute(logits, self.biases)
        record(self.prefix + "router.experts", lambda: chosen)
        record(self.prefix + "router.weights", lambda: weights)
        (gate, up, down), place = self.experts(packet.value.flatten(0, 1), chosen.flatten(0, 1))
        record(
            self.prefix + "expert.gate_up", lambda: torch.cat([gate, up], -1)[place].flatten(1).view(*x.shape[:2], -1)
        )
        record(self.prefix + "expert.down", lambda: down[place].flatten(1).view(*x.shape[:2], -1))
        moe = self.combined(weights.flatten(0, 1), down, place).view_as(x)
        record(self.prefix + "moe", lambda: moe)
        if self.shared is not None:
            shared_gate, shared_up, shared_down = self.shared(packet.value)
            record(self.prefix + "shared.gate_up", lambda: torch.cat([shared_gate, shared_up], -1))
            record(self.prefix + "shared.down", lambda: shared_down)
            moe = self.with_shared.saturate(moe + shared_down)
        x = self.residual.saturate_(x + moe)
        record(self.prefix + "residual", lambda: x)
        return x

    def combined(self, weights: Tensor, down: Tensor, place: Tensor) -> Tensor:
        """Results [jobs, hidden] summed by weight [tokens, top_k]; exact, in int64 where weights are large."""
        bits = self.router.weight_width + self.units.word.width + self.router.top_k.bit_length()
        dtype = down.dtype if bits <= 53 else torch.int64
        terms = down.index_select(0, place.flatten()).view(*place.shape, -1).to(dtype)
        terms *= weights[..., None].to(dtype)
        return self.units.combine.compute(reduce(torch.add, terms.unbind(1))).to(down.dtype)
