"""The model configuration: the fields of a Hugging Face `config.json` of the LLaDA-MoE family, checked once, here."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.checkpoints.fields import check_fields
from golden.checkpoints.json_files import read_json_object
from golden.errors import UserError

__all__ = ["ModelConfig"]

MODEL_TYPES = ("llada", "lladamoe")
PUBLISHED_TOKENS = {"mask_token_id": 156895, "eos_token_id": 156892}
"""Of LLaDA-MoE-7B-A1B, whose published file need not name the first."""

LARGEST: dict[str, float] = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 20,
    "num_hidden_layers": 1 << 12,
    "num_attention_heads": 1 << 16,
    "num_key_value_heads": 1 << 16,
    "expert_intermediate_size": 1 << 20,
    "num_experts": 1 << 16,
    "num_experts_per_tok": 1 << 16,
    "rope_theta": 1e15,
    "rms_norm_eps": 1.0,
    "max_position_embeddings": 1 << 28,
}
"""Positive fields, and the largest value of each: far beyond any model, small enough to be counted at once."""

MOST_EXPERTS = 1 << 18
"""Experts of all layers."""


@dataclass(frozen=True)
class ModelConfig:
    """Geometry and constants of one model, named as in `config.json`.

    `has_expert_bias` is `moe_router_enable_expert_bias` there. What else the file may say is in
    `golden.checkpoints.fields`. Making one that contradicts itself raises `UserError` naming the field and the remedy.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    expert_intermediate_size: int
    num_experts: int
    num_experts_per_tok: int
    rope_theta: float
    rms_norm_eps: float
    max_position_embeddings: int
    mask_token_id: int
    eos_token_id: int
    has_expert_bias: bool = False

    def __post_init__(self) -> None:
        check_model_type(self.model_type)
        for field in dataclasses.fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        check_geometry(self)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_json(cls, path: str | Path) -> "ModelConfig":
        """Read the file `path` (a `config.json`). Raises `UserError` naming the file, the field and the remedy."""
        raw = read_json_object(Path(path))
        try:
            return cls.from_dict(raw)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "ModelConfig":
        """From the fields of a `config.json`. Raises `UserError` naming the field and the remedy."""
        check_model_type(raw.get("model_type"))
        if "num_experts" not in raw:
            raise UserError("num_experts is missing, so this is a dense LLaDA; give a LLaDA-MoE checkpoint")
        check_fields(raw)
        given = {name: value for name, value in raw.items() if value is not None}
        given |= {"rope_theta": read_rope(raw), "has_expert_bias": given.get("moe_router_enable_expert_bias", False)}
        given.setdefault("num_key_value_heads", given.get("num_attention_heads"))
        for name, published in PUBLISHED_TOKENS.items():
            if name not in given and isinstance(raw.get("vocab_size"), int) and published < raw["vocab_size"]:
                given[name] = published
        wanted = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in (*wanted, "qk_layernorm") if given.get(name) is None]:
            what = f"fields {', '.join(missing)} are" if len(missing) > 1 else f"field {missing[0]} is"
            raise UserError(f"{what} missing; add what the model's authors say")
        for name in ("rope_theta", "rms_norm_eps"):
            if type(given[name]) is int and abs(given[name]) < 1 << 53:
                given[name] = float(given[name])
        config = cls(**{name: given[name] for name in wanted})
        check_redundant_fields(raw, config)
        return config

    def to_json_dict(self) -> dict[str, Any]:
        """The Hugging Face form: what `config.json` holds, ready for `json.dumps`."""
        fields = dataclasses.asdict(self)
        has_expert_bias = fields.pop("has_expert_bias")
        return {
            "architectures": ["LLaDAMoEModelLM"],
            **fields,
            "tie_word_embeddings": False,
            "qk_layernorm": True,
            "norm_topk_prob": False,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "moe_layer_freq": [1] * self.num_hidden_layers,
            "moe_router_enable_expert_bias": has_expert_bias,
            "moe_router_score_function": "softmax",
            "rope_scaling": None,
        }


def check_model_type(model_type: Any) -> None:
    if model_type not in MODEL_TYPES:
        raise UserError(
            f"model_type {model_type!r} is not supported; give a LLaDA-MoE checkpoint ({' or '.join(MODEL_TYPES)})"
        )


def check_type(name: str, value: Any, wanted: Any) -> None:
    if type(value) is not wanted:
        raise UserError(f"{name} is {value!r}, which is not of type {wanted.__name__}; correct the field")


def read_rope(raw: dict[str, Any]) -> float | None:
    """The base of rotary embedding: `rope_theta`, or within `rope_parameters`, where transformers 5 writes it.

    Raises `UserError` where they differ, or where either, or `rope_scaling`, asks for anything but plain embedding.
    """
    theta = raw.get("rope_theta")
    for name in ("rope_scaling", "rope_parameters"):
        fields = raw.get(name)
        if fields is None:
            continue
        plain = isinstance(fields, dict) and all(
            fields.get(key) in values
            for key, values in {"rope_type": ("default", None), "type": ("default", None)}.items()
        )
        if not plain or set(fields) - {"rope_type", "type", "rope_theta", "partial_rotary_factor"}:
            raise UserError(
                f"{name} is {fields!r:.80}, and only plain rotary embedding is supported (null, or rope_type "
                "'default'); give a checkpoint that has it so"
            )
        check_fields({"partial_rotary_factor": fields.get("partial_rotary_factor")})
        within = fields.get("rope_theta", theta)
        if theta is not None and within != theta:
            raise UserError(f"rope_theta is {theta!r} but {within!r} in {name}; correct one of them")
        theta = within
    return theta


def check_redundant_fields(raw: dict[str, Any], config: ModelConfig) -> None:
    """Fields that say again what others say already must agree with them."""
    for name, said, of in (
        ("head_dim", config.head_dim, "hidden_size / num_attention_heads"),
        ("moe_intermediate_size", config.expert_intermediate_size, "expert_intermediate_size"),
        ("num_local_experts", config.num_experts, "num_experts"),
        ("n_routed_experts", config.num_experts, "num_experts"),
    ):
        if raw.get(name) is not None and raw[name] != said:
            raise UserError(f"{name} is {raw[name]!r} but {of} is {said}; correct one of them")
    frequency = raw.get("moe_layer_freq")
    if frequency not in (None, 1, [1] * config.num_hidden_layers):
        raise UserError(
            f"moe_layer_freq is {frequency!r:.80}, and only a list of {config.num_hidden_layers} ones "
            "(num_hidden_layers) is supported; give a checkpoint whose every layer has experts"
        )


def check_geometry(config: ModelConfig) -> None:
    """Raise `UserError` for the first field that is out of range or contradicts another."""
    for name, largest in LARGEST.items():
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            raise UserError(f"{name} is {value}; it must be positive")
        if value > largest:
            raise UserError(f"{name} is {value}; no model has more than {largest:,}, correct the field")
    if config.num_hidden_layers * config.num_experts > MOST_EXPERTS:
        raise UserError(
            f"num_hidden_layers {config.num_hidden_layers} times num_experts {config.num_experts} is more than the "
            f"{MOST_EXPERTS:,} experts of any model; correct one of them"
        )
    if config.hidden_size % config.num_attention_heads:
        raise UserError(
            f"hidden_size {config.hidden_size} is no multiple of num_attention_heads {config.num_attention_heads}; "
            "correct one of them"
        )
    if config.head_dim % 2:
        raise UserError(
            f"head_dim {config.head_dim} (hidden_size / num_attention_heads) is odd, and rotary embedding needs pairs; "
            "choose an even one"
        )
    if config.num_key_value_heads != config.num_attention_heads:
        raise UserError(
            f"num_key_value_heads {config.num_key_value_heads} differs from num_attention_heads "
            f"{config.num_attention_heads}, and grouped-query attention is not supported; give a checkpoint "
            "where they are equal"
        )
    if config.num_experts_per_tok > config.num_experts:
        raise UserError(
            f"num_experts_per_tok {config.num_experts_per_tok} exceeds num_experts {config.num_experts}; "
            "correct one of them"
        )
    for name in ("mask_token_id", "eos_token_id"):
        if not 0 <= getattr(config, name) < config.vocab_size:
            raise UserError(
                f"{name} {getattr(config, name)} lies outside the vocabulary (vocab_size {config.vocab_size}); "
                "correct one of them"
            )
    if config.mask_token_id == config.eos_token_id:
        raise UserError(f"mask_token_id and eos_token_id are both {config.mask_token_id}; give them different tokens")
