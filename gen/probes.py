"""Where in the emitted hierarchy each probe point of the golden model can be seen."""

from collections.abc import Iterator
from dataclasses import dataclass

from golden.config import ModelConfig
from golden.units.fixed import FIXED, SCORE

__all__ = ["Probe", "probes"]


@dataclass(frozen=True)
class Probe:
    """A stream of the chip that carries one probe point.

    Parameters
    ----------
    name: probe point as in `golden.chip` (`layer.0.q`), or `layer.0.expert.gate_up` / `layer.0.expert.down`,
        which carry the chosen experts' results in job order (position, then choice).
    path: instance path below the chip; port: stream port of that instance.
    width, signed: an element in bits; lanes: elements a beat; offset: of the first element in the payload, in bits.
    elements: of one packet; packets: a position.
    """

    name: str
    path: str
    port: str
    width: int
    elements: int
    lanes: int = 1
    signed: bool = True
    offset: int = 0
    packets: int = 1


def probes(config: ModelConfig, lanes: int) -> list[Probe]:
    """Every probe point, in the order in which a position passes them."""
    hidden = config.hidden_size
    points = [Probe("embedding", "embedding", "o", FIXED.width, hidden, lanes)]
    for layer in range(config.num_hidden_layers):
        points += layer_probes(config, lanes, layer)
    spread = 17 + (config.vocab_size - 1).bit_length()
    token = max(1, (config.vocab_size - 1).bit_length())
    points += [
        Probe("final_norm", "final_quantize", "o", 8, hidden, lanes),
        Probe("logits", "head_rescale", "o", FIXED.width, config.vocab_size, lanes),
        Probe("argmax.token", "argmax", "o", token, 1, signed=False),
        Probe("argmax.spread", "argmax", "o", spread, 1, signed=False, offset=token),
    ]
    return points


def layer_probes(config: ModelConfig, lanes: int, layer: int) -> Iterator[Probe]:
    hidden, head, heads, word = config.hidden_size, config.head_dim, config.num_attention_heads, FIXED.width
    top_k, name, path = config.num_experts_per_tok, f"layer.{layer}.", f"layer_{layer}."
    index = max(1, (config.num_experts - 1).bit_length())

    def attention(point: str, unit: str, width: int, elements: int, lanes: int = lanes, **more) -> Probe:
        return Probe(name + point, f"{path}attention.{unit}", "o", width, elements, lanes, **more)

    def experts(point: str, unit: str, width: int, elements: int, lanes: int = lanes, **more) -> Probe:
        return Probe(name + point, f"{path}experts.{unit}", "o", width, elements, lanes, **more)

    yield attention("input_norm", "input_quantize", 8, hidden)
    yield from (attention(n, f"{n}_quantize", 8, head, packets=heads) for n in "qkv")
    yield attention("attention.scores", "attention.scores", SCORE.width, 0, lanes=1, packets=heads)
    yield attention("attention.output", "attention", word, hidden)
    yield attention("o", "o_rescale", word, hidden)
    yield attention("attention.residual", "residual", word, hidden)
    yield experts("post_norm", "post_quantize", 8, hidden)
    yield experts("router.logits", "router_rescale", word, config.num_experts)
    yield experts("router.experts", "router", index, top_k, lanes=top_k, signed=False)
    yield experts("router.weights", "router", 17, top_k, lanes=top_k, signed=False, offset=top_k * index)
    middle = config.expert_intermediate_size
    yield experts("expert.gate_up", "gate_up_rescale", word, 2 * middle, lanes=2 * lanes, packets=top_k)
    yield experts("expert.down", "down_rescale", word, hidden, packets=top_k)
    yield experts("moe", "combine", word, hidden)
    yield experts("residual", "residual", word, hidden)
