"""The matrices of a model, from any `config.json`: by the features it has, never by its family's name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from golden.errors import UserError

__all__ = ["MatrixKind", "ModelShape"]


@dataclass(frozen=True)
class MatrixKind:
    """Arrays of one kind, as `gen.design.matrices` forms them: `banks` matrices of [rows, inputs] that share an input.

    count: arrays of the kind in a layer that has them; layers: such layers (1 for the head);
    share: share of all tokens that meets one of these arrays when experts are even.
    """

    kind: str
    rows: int
    inputs: int
    banks: int
    count: int
    layers: int
    share: float = 1.0

    @property
    def weights_each(self) -> int:
        return self.rows * self.inputs * self.banks

    @property
    def weights(self) -> int:
        return self.weights_each * self.count * self.layers

    @property
    def active(self) -> float:
        """Weights that one token meets."""
        return self.weights * self.share


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a transformer with experts.

    dense_layers: leading layers with a plain MLP of width `dense_intermediate`; shared_experts: experts that serve
    every token; other_parameters: norms, biases and what else is no matrix.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    experts: int
    experts_per_token: int
    intermediate: int
    shared_experts: int
    dense_layers: int
    dense_intermediate: int
    vocabulary: int
    tied: bool
    other_parameters: int

    @classmethod
    def from_config(cls, name: str, raw: dict[str, Any]) -> "ModelShape":
        """From the fields of a `config.json`; `UserError` naming the field that is missing or no positive integer."""

        def number(*names: str, default: int | None = None) -> int:
            value = next((raw[n] for n in names if raw.get(n) is not None), default)
            if type(value) is not int or value < (1 if default is None else 0):
                raise UserError(f"{name}: {names[0]} is {value!r}; config.json must give it as a positive integer")
            return value

        hidden, heads = number("hidden_size"), number("num_attention_heads")
        shape = cls(
            name=name,
            hidden=hidden,
            layers=number("num_hidden_layers"),
            heads=heads,
            key_value_heads=number("num_key_value_heads", default=heads),
            head_dim=number("head_dim", default=hidden // heads),
            experts=number("num_experts", "num_local_experts"),
            experts_per_token=number("num_experts_per_tok"),
            intermediate=number("expert_intermediate_size", "moe_intermediate_size", "intermediate_size"),
            shared_experts=number("num_shared_experts", default=0),
            dense_layers=number("first_k_dense_replace", default=0),
            dense_intermediate=number("intermediate_size", default=0) if raw.get("first_k_dense_replace") else 0,
            vocabulary=number("vocab_size"),
            tied=bool(raw.get("tie_word_embeddings")),
            other_parameters=0,
        )
        return cls(**(vars(shape) | {"other_parameters": shape._others(raw)}))

    def _others(self, raw: dict[str, Any]) -> int:
        """Parameters that are no matrix: norms, biases, attention sinks."""
        norms = self.layers * 2 * self.hidden + self.hidden
        if raw.get("qk_layernorm", raw.get("use_qk_norm")):
            norms += self.layers * 2 * self.head_dim
        biases = 0
        if raw.get("moe_router_enable_expert_bias") or raw.get("has_expert_bias"):
            biases += self.expert_layers * self.experts
        if raw.get("attention_bias"):  # as in gpt-oss: with sinks, and biases of router and experts
            biases += self.layers * (self.query_width + 2 * self.key_value_width + self.hidden + self.heads)
            biases += self.expert_layers * self.experts * (1 + 2 * self.intermediate + self.hidden)
        return norms + biases

    @property
    def query_width(self) -> int:
        return self.heads * self.head_dim

    @property
    def key_value_width(self) -> int:
        return self.key_value_heads * self.head_dim

    @property
    def expert_layers(self) -> int:
        return self.layers - self.dense_layers

    @property
    def embedding_weights(self) -> int:
        return self.vocabulary * self.hidden

    def kinds(self) -> Iterator[MatrixKind]:
        """Every hardwired array, the embedding apart."""
        hidden, layers = self.hidden, self.layers
        rows, banks = self.query_width, 3  # three equal matrices drain side by side, unlike ones one after the other
        if self.key_value_heads != self.heads:
            rows, banks = self.query_width + 2 * self.key_value_width, 1
        yield MatrixKind("qkv", rows, hidden, banks, 1, layers)
        yield MatrixKind("o", hidden, self.query_width, 1, 1, layers)
        yield MatrixKind("router", self.experts, hidden, 1, 1, self.expert_layers)
        share = self.experts_per_token / self.experts
        yield MatrixKind("gate_up", self.intermediate, hidden, 2, self.experts, self.expert_layers, share)
        yield MatrixKind("down", hidden, self.intermediate, 1, self.experts, self.expert_layers, share)
        for name, count, width, there in (
            ("shared", self.shared_experts, self.intermediate, self.expert_layers),
            ("dense", 1, self.dense_intermediate, self.dense_layers),
        ):
            if count and there:
                yield MatrixKind(f"{name}_gate_up", width, hidden, 2, count, there)
                yield MatrixKind(f"{name}_down", hidden, width, 1, count, there)
        yield MatrixKind("head", self.vocabulary, hidden, 1, 1, 1)

    @property
    def hardwired(self) -> int:
        """Weights in arrays."""
        return sum(kind.weights for kind in self.kinds())

    @property
    def parameters(self) -> int:
        tied = self.embedding_weights if self.tied else 0
        return self.hardwired + self.embedding_weights - tied + self.other_parameters

    @property
    def active(self) -> float:
        """Hardwired weights that one token meets."""
        return sum(kind.active for kind in self.kinds())
