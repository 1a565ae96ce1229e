"""One description of a model: its features, layer by layer. What else is known of a model derives from it.

A family's adapter (`golden.checkpoints.families`) makes it from a `config.json`. Tensors have one name here, whatever
the family calls them in its files; fields are named as in transformers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from hardloom.golden.errors import UserError

__all__ = [
    "EMBEDDING",
    "HEAD",
    "MOST_RANK",
    "SITES",
    "AttentionShape",
    "DenseShape",
    "ExpertsShape",
    "LayerShape",
    "MatrixKind",
    "ModelShape",
    "TensorShape",
]

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"

SITES = dict.fromkeys(("qkv", "q", "kv", "router", "head"), "norm") | {"o": "mix"}
SITES |= {f"{network}gate_up": "norm" for network in ("", "dense_", "shared_")}
SITES |= {f"{network}down": "swiglu" for network in ("", "dense_", "shared_")}
"""Where what enters each kind of array is made, a field of `golden.units.activations.ActivationBits`."""

MOST_RANK = 16
"""Of a LoRA adapter beside a matrix."""


@dataclass(frozen=True)
class TensorShape:
    """A tensor of the model.

    Attributes
    ----------
    name: its one name; shape: [rows, inputs] of a matrix, [elements] of a vector.
    kind: what it is in a layer or beside them: `q_proj`, `router`, `gate_proj`, `shared.up_proj`, `q_norm`, `head`.
    layer, expert: where it is, or None.
    gain: name of the norm vector whose gain multiplies this matrix's inputs, or None.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    layer: int | None = None
    expert: int | None = None
    gain: str | None = None

    @property
    def is_matrix(self) -> bool:
        return len(self.shape) == 2

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def short_kind(self) -> str:
        """Its kind in a word, whichever network of a layer it is in: `down` of `shared.down_proj`."""
        return self.kind.rpartition(".")[2].removesuffix("_proj")


@dataclass(frozen=True)
class AttentionShape:
    """Attention of a layer.

    Attributes
    ----------
    rotary_dim: elements of a head that rotary embedding turns, the first ones.
    head_norms: RMSNorm over every head of q and k, before rotary embedding.
    clip: q, k and v are clamped to +-clip, q and k after their norms and before rotary embedding; None: not.
    bias: the projections of q, k and v add a bias.
    block_length: a position sees its own block and those before it, blocks counted from position 0 (1: causal); None:
        every position sees every other.
    """

    num_heads: int
    num_key_value_heads: int
    head_dim: int
    rope_theta: float
    rotary_dim: int
    head_norms: bool = False
    clip: float | None = None
    bias: bool = False
    block_length: int | None = None

    @property
    def query_width(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def key_value_width(self) -> int:
        return self.num_key_value_heads * self.head_dim

    @property
    def projections(self) -> dict[str, str]:
        """Arrays of q, k and v by kind, and whose matrices each has, a letter each.

        Matrices of one size drain side by side, so q is alone where heads share keys.
        """
        return {"qkv": "qkv"} if self.num_key_value_heads == self.num_heads else {"q": "q", "kv": "kv"}


@dataclass(frozen=True)
class DenseShape:
    """One SwiGLU network for every token."""

    intermediate_size: int


@dataclass(frozen=True)
class ExpertsShape:
    """A router and SwiGLU experts.

    Attributes
    ----------
    score: `softmax` over all experts, or `sigmoid` of each.
    bias: of the router's scores: None, `selection` (added where experts are chosen) or `mixing` (the sums weigh the
        experts, too).
    groups, top_groups: experts are cut into `groups` runs; those of the `top_groups` runs whose two best scores have
        the largest sums can be chosen.
    capacity: a block of tokens together may use the `capacity` experts with the largest scores; 0: all.
    renormalise: weights of a token's chosen experts are divided by their sum. scale: of the sum of experts.
    shared_size: width of an expert that serves every token; 0: none.
    """

    num_experts: int
    top_k: int
    intermediate_size: int
    score: str = "softmax"
    bias: str | None = None
    groups: int = 1
    top_groups: int = 1
    capacity: int = 0
    renormalise: bool = False
    scale: float = 1.0
    shared_size: int = 0


@dataclass(frozen=True)
class LayerShape:
    """x += attention(norm(x)); x += mlp(norm(x))."""

    attention: AttentionShape
    mlp: DenseShape | ExpertsShape


@dataclass(frozen=True)
class MatrixKind:
    """Arrays of one kind, as `gen.design.matrices` forms them: `banks` matrices of [rows, inputs] that share an input.

    count: arrays of the kind in a layer that has them; layers: such layers (1 for the head);
    share: share of all tokens that meets one of these arrays when experts are even.
    formats: weight formats, and the share of its weights that each has; none where the model names no formats.
    bits: of the activations that enter them.
    """

    kind: str
    rows: int
    inputs: int
    banks: int
    count: int
    layers: int
    share: float = 1.0
    formats: tuple[tuple[str, float], ...] = ()
    bits: int = 8

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
    """A transformer: embedding, layers, final norm and head.

    Attributes
    ----------
    family: name of its adapter.
    tied: the head is the embedding's matrix.
    mask_token_id: None for models that are not of the masked kind. eos_token_ids: each of them ends an answer.
    delete_token_id, split_token_id: what models that edit by insertion and deletion predict for these, None for others.
    shift: logits at position i predict token i + shift.
    uncomputed: features that the family has and no model here computes, in words; they are counted alone.
    other_parameters: of those features.
    name: what tables and messages call the model.
    formats: weight format of each kind of matrix (`TensorShape.short_kind`) where it is known.
    activations, gains_behind: bits by site, and whether norms have their gain behind them, where that is known
        (`golden.units.numerics.Numerics`).
    """

    family: str
    vocab_size: int
    hidden_size: int
    layers: tuple[LayerShape, ...] = field(repr=False)
    rms_norm_eps: float
    max_position_embeddings: int
    mask_token_id: int | None
    eos_token_ids: tuple[int, ...]
    delete_token_id: int | None = None
    split_token_id: int | None = None
    tied: bool = False
    shift: int = 0
    uncomputed: tuple[str, ...] = ()
    other_parameters: int = 0
    name: str = field(default="", compare=False)
    formats: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    activations: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    gains_behind: bool = field(default=False, compare=False, repr=False)

    @property
    def mask_token(self) -> int:
        """The mask token. Of a causal model, which has none, the id behind its vocabulary: it stands for positions that
        have no token yet, which none but themselves see, and is embedded as token 0."""
        return self.vocab_size if self.mask_token_id is None else self.mask_token_id

    @property
    def bidirectional(self) -> bool:
        """Whether every position sees every other, in all layers."""
        return all(layer.attention.block_length is None for layer in self.layers)

    @property
    def token_ids(self) -> int:
        """Ids that a position may have, from 0 on: those of the vocabulary and the mask's."""
        return max(self.vocab_size, self.mask_token + 1)

    def check_positions(self, positions: int, name: str = "sequence") -> None:
        """Raise `UserError` where a sequence, called `name` as options are, has more positions than the model."""
        if positions > (most := self.max_position_embeddings):
            raise UserError(
                f"{name}: {positions} positions are more than the model's max_position_embeddings {most}; shorten the "
                "sequence"
            )

    def tensors(self) -> Iterator[TensorShape]:
        """Every tensor, in the order in which a token meets them. A tied head is one of them, apart."""
        yield TensorShape(EMBEDDING, (self.vocab_size, self.hidden_size), "embedding")
        for number, layer in enumerate(self.layers):
            yield from self._attention_tensors(number, layer.attention)
            yield from self._mlp_tensors(number, layer.mlp)
        yield TensorShape("model.norm.weight", (self.hidden_size,), "norm")
        yield TensorShape(HEAD, (self.vocab_size, self.hidden_size), "head", gain="model.norm.weight")

    @cached_property
    def by_place(self) -> dict[tuple[str, int | None, int | None], TensorShape]:
        """Tensors by kind, layer and expert."""
        return {(tensor.kind, tensor.layer, tensor.expert): tensor for tensor in self.tensors()}

    def tensor(self, kind: str, layer: int | None = None, expert: int | None = None) -> TensorShape:
        """The one tensor of a kind, in a layer and of an expert where it is in such."""
        return self.by_place[kind, layer, expert]

    def matrices(self) -> Iterator[TensorShape]:
        """The tensors that are hardwired."""
        return (tensor for tensor in self.tensors() if tensor.is_matrix)

    def vectors(self, gains: bool) -> Iterator[TensorShape]:
        """The vectors that no matrix takes in: with or without the gains of `TensorShape.gain`."""
        taken = set() if gains else {tensor.gain for tensor in self.matrices()}
        return (tensor for tensor in self.tensors() if not tensor.is_matrix and tensor.name not in taken)

    def _attention_tensors(self, number: int, attention: AttentionShape) -> Iterator[TensorShape]:
        base, hidden = f"model.layers.{number}.", self.hidden_size
        norm = base + "input_layernorm.weight"
        yield TensorShape(norm, (hidden,), "input_layernorm", number)
        widths = {"q": attention.query_width, "k": attention.key_value_width, "v": attention.key_value_width}
        for name, rows in widths.items():
            yield TensorShape(f"{base}self_attn.{name}_proj.weight", (rows, hidden), f"{name}_proj", number, gain=norm)
        out = f"{base}self_attn.o_proj.weight"
        yield TensorShape(out, (hidden, attention.query_width), "o_proj", number)
        for name, rows in widths.items() if attention.bias else ():
            yield TensorShape(f"{base}self_attn.{name}_proj.bias", (rows,), f"{name}_bias", number)
        for name in "qk" if attention.head_norms else "":
            yield TensorShape(f"{base}self_attn.{name}_norm.weight", (attention.head_dim,), f"{name}_norm", number)

    def _mlp_tensors(self, number: int, mlp: DenseShape | ExpertsShape) -> Iterator[TensorShape]:
        base, hidden = f"model.layers.{number}.", self.hidden_size
        norm = base + "post_attention_layernorm.weight"
        yield TensorShape(norm, (hidden,), "post_attention_layernorm", number)
        if isinstance(mlp, DenseShape):
            yield from self._swiglu(base + "mlp.", "dense.", mlp.intermediate_size, number, None, norm)
            return
        yield TensorShape(base + "mlp.gate.weight", (mlp.num_experts, hidden), "router", number, gain=norm)
        if mlp.bias:
            yield TensorShape(base + "mlp.expert_bias", (mlp.num_experts,), "expert_bias", number)
        for e in range(mlp.num_experts):
            yield from self._swiglu(f"{base}mlp.experts.{e}.", "", mlp.intermediate_size, number, e, norm)
        if mlp.shared_size:
            yield from self._swiglu(base + "mlp.shared_experts.", "shared.", mlp.shared_size, number, None, norm)

    def _swiglu(
        self, base: str, kind: str, width: int, layer: int, expert: int | None, norm: str
    ) -> Iterator[TensorShape]:
        for name in ("gate_proj", "up_proj"):
            yield TensorShape(f"{base}{name}.weight", (width, self.hidden_size), kind + name, layer, expert, norm)
        yield TensorShape(f"{base}down_proj.weight", (self.hidden_size, width), kind + "down_proj", layer, expert)

    def kinds(self) -> Iterator[MatrixKind]:
        """Every hardwired array, the embedding apart; alike layers counted together."""
        for kind in self._kinds():
            yield replace(kind, bits=self.activations.get(SITES[kind.kind], kind.bits))

    def _kinds(self) -> Iterator[MatrixKind]:
        """As `kinds`, without the bits of activations."""
        for attention, count in Counter(layer.attention for layer in self.layers).items():
            yield from self._projections(attention, count)
            yield MatrixKind("o", self.hidden_size, attention.query_width, 1, 1, count, formats=self._shares(("o", 1)))
        mlps = Counter(layer.mlp for layer in self.layers)
        for mlp, count in sorted(mlps.items(), key=lambda pair: isinstance(pair[0], DenseShape)):
            if isinstance(mlp, DenseShape):
                yield from self._network("dense_", mlp.intermediate_size, 1, count, 1.0)
                continue
            router = self._shares(("router", 1))
            yield MatrixKind("router", mlp.num_experts, self.hidden_size, 1, 1, count, formats=router)
            yield from self._network("", mlp.intermediate_size, mlp.num_experts, count, mlp.top_k / mlp.num_experts)
            if mlp.shared_size:
                yield from self._network("shared_", mlp.shared_size, 1, count, 1.0)
        yield MatrixKind("head", self.vocab_size, self.hidden_size, 1, 1, 1, formats=self._shares(("head", 1)))

    def _projections(self, attention: AttentionShape, layers: int) -> Iterator[MatrixKind]:
        for kind, names in attention.projections.items():
            rows = attention.query_width if names[0] == "q" else attention.key_value_width
            formats = self._shares(*((name, 1) for name in names))
            yield MatrixKind(kind, rows, self.hidden_size, len(names), 1, layers, formats=formats)

    def _network(self, prefix: str, width: int, count: int, layers: int, share: float) -> Iterator[MatrixKind]:
        gate_up, down = self._shares(("gate", 1), ("up", 1)), self._shares(("down", 1))
        yield MatrixKind(prefix + "gate_up", width, self.hidden_size, 2, count, layers, share, gate_up)
        yield MatrixKind(prefix + "down", self.hidden_size, width, 1, count, layers, share, down)

    def _shares(self, *rows: tuple[str, int]) -> tuple[tuple[str, float], ...]:
        """Formats of an array of kinds of matrix with so many rows, and the share of each."""
        found: dict[str, int] = {}
        for kind, count in rows if self.formats else ():
            found[self.formats[kind]] = found.get(self.formats[kind], 0) + count
        return tuple((format, count / sum(found.values())) for format, count in found.items())

    @property
    def embedding_weights(self) -> int:
        return self.vocab_size * self.hidden_size

    @property
    def hardwired(self) -> int:
        """Weights in arrays."""
        return sum(kind.weights for kind in self.kinds())

    @property
    def active(self) -> float:
        """Hardwired weights that one token meets."""
        return sum(kind.active for kind in self.kinds())

    @cached_property
    def parameters(self) -> int:
        """All there are, a tied matrix once."""
        vectors = sum(tensor.elements for tensor in self.tensors() if not tensor.is_matrix)
        matrices = self.hardwired + self.embedding_weights * (not self.tied)
        return matrices + vectors + self.other_parameters
