"""Which matrices of a checkpoint form which array unit, and which constants stand beside them."""

from collections.abc import Iterator
from dataclasses import dataclass

from gen.geometry import wired_module
from golden.config import ModelConfig

__all__ = ["EMBEDDING", "ArrayUnit", "array_units"]

EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True)
class ArrayUnit:
    """Matrices that share one input vector.

    prefix: of the module (`layer_0`, `chip`); name: within the prefix (`qkv`, `expert.3.down`); kind: one of
    `gen.hardware.ARRAY_KINDS`; matrices: tensor names, one a bank.
    """

    prefix: str
    name: str
    kind: str
    matrices: tuple[str, ...]

    @property
    def module(self) -> str:
        return wired_module(self.prefix, self.name)


def layer_units(config: ModelConfig, layer: int) -> Iterator[ArrayUnit]:
    prefix, base = f"layer_{layer}", f"model.layers.{layer}."
    attention = {n: f"{base}self_attn.{n}_proj.weight" for n in "qkvo"}
    yield ArrayUnit(prefix, "qkv", "qkv", (attention["q"], attention["k"], attention["v"]))
    yield ArrayUnit(prefix, "o", "o", (attention["o"],))
    yield ArrayUnit(prefix, "router", "router", (f"{base}mlp.gate.weight",))
    for e in range(config.num_experts):
        expert = {n: f"{base}mlp.experts.{e}.{n}_proj.weight" for n in ("gate", "up", "down")}
        yield ArrayUnit(prefix, f"expert.{e}.gate_up", "gate_up", (expert["gate"], expert["up"]))
        yield ArrayUnit(prefix, f"expert.{e}.down", "down", (expert["down"],))


def array_units(config: ModelConfig) -> Iterator[ArrayUnit]:
    """Every array unit of the chip, in a fixed order; with `EMBEDDING`, all matrices of the model."""
    for layer in range(config.num_hidden_layers):
        yield from layer_units(config, layer)
    yield ArrayUnit("chip", "head", "head", ("lm_head.weight",))
