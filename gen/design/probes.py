"""Where in the emitted hierarchy each probe point of the golden model can be seen."""

from collections.abc import Iterator
from dataclasses import dataclass

from golden.checkpoints.config import ModelConfig
from golden.units.fixed import FIXED, SCORE

__all__ = ["Probe", "probes"]


@dataclass(frozen=True)
class Probe:
    """One probe point (`gen.stream.stream.probe`) of the chip.

    Parameters
    ----------
    name: probe point as in `golden.models.integer_model` (`layer.0.q`), or `layer.0.expert.gate_up` /
        `layer.0.expert.down`, which carry the chosen experts' results in job order (position, then choice).
    path: of the signal below the chip.
    width, signed: an element in bits; lanes: elements a beat.
    elements: of one packet, 0 for as many as there are positions; packets: a position.
    """

    name: str
    path: str
    width: int
    elements: int
    lanes: int = 1
    signed: bool = True
    packets: int = 1


def probes(config: ModelConfig, lanes: int) -> list[Probe]:
    """Every probe point, in the order in which a position passes them."""
    hidden, word = config.hidden_size, FIXED.width
    points = [Probe("embedding", "probe_embedding", word, hidden, lanes)]
    for layer in range(config.num_hidden_layers):
        points += layer_probes(config, lanes, layer)
    token = max(1, (config.vocab_size - 1).bit_length())
    points += [
        Probe("final_norm", "probe_final_norm", 8, hidden, lanes),
        Probe("logits", "probe_logits", word, config.vocab_size, lanes),
        Probe("argmax.token", "probe_token", token, 1, signed=False),
        Probe("argmax.spread", "probe_spread", 17 + (config.vocab_size - 1).bit_length(), 1, signed=False),
    ]
    return points


def layer_probes(config: ModelConfig, lanes: int, layer: int) -> Iterator[Probe]:
    hidden, head, heads, word = config.hidden_size, config.head_dim, config.num_attention_heads, FIXED.width
    top_k, middle = config.num_experts_per_tok, config.expert_intermediate_size
    index = max(1, (config.num_experts - 1).bit_length())

    def point(name: str, path: str, width: int, elements: int, lanes: int = lanes, **more) -> Probe:
        return Probe(f"layer.{layer}.{name}", f"layer_{layer}.{path}", width, elements, lanes, **more)

    yield point("input_norm", "attention.probe_input_norm", 8, hidden)
    yield from (point(n, f"attention.probe_{n}", 8, head, packets=heads) for n in "qkv")
    yield point("attention.scores", "attention.attention.probe_scores", SCORE.width, 0, lanes=1, packets=heads)
    yield point("attention.output", "attention.probe_output", word, hidden)
    yield point("o", "attention.probe_o", word, hidden)
    yield point("attention.residual", "attention.probe_residual", word, hidden)
    yield point("post_norm", "experts.probe_post_norm", 8, hidden)
    yield point("router.logits", "experts.probe_router_logits", word, config.num_experts)
    yield point("router.experts", "experts.probe_router_experts", index, top_k, lanes=top_k, signed=False)
    yield point("router.weights", "experts.probe_router_weights", 17, top_k, lanes=top_k, signed=False)
    yield point("expert.gate_up", "experts.probe_gate_up", word, 2 * middle, lanes=2 * lanes, packets=top_k)
    yield point("expert.down", "experts.probe_down", word, hidden, packets=top_k)
    yield point("moe", "experts.probe_moe", word, hidden)
    yield point("residual", "experts.probe_residual", word, hidden)
