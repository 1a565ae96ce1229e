"""The model configuration: the fields of a Hugging Face `config.json` of the LLaDA-MoE family, checked once, here."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.errors import UserError

__all__ = ["ModelConfig"]

MODEL_TYPES = ("llada", "lladamoe")
PUBLISHED_MASK_TOKEN_ID = 156895
PUBLISHED_EOS_TOKEN_ID = 156892

# Fields of config.json that may be absent, and the values under which the model is the one we compute.
SUPPORTED_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu",),
    "moe_router_score_function": ("softmax",),
    "norm_topk_prob": (False, None),
    "rope_scaling": (None,),
    "tie_word_embeddings": (False, None),
    "qk_layernorm": (True, None),
    "attention_bias": (False, None),
    "partial_rotary_factor": (1, None),
    "routed_scaling_factor": (1, None),
    "num_shared_experts": (0, None),
    "n_group": (0, 1, None),
    "router_num_group": (0, 1, None),
}
POSITIVE_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "expert_intermediate_size",
    "num_experts",
    "num_experts_per_tok",
    "rope_theta",
    "rms_norm_eps",
    "max_position_embeddings",
)


@dataclass(frozen=True)
class ModelConfig:
    """Geometry and constants of one model, named as in `config.json`.

    `has_expert_bias` is not in `config.json`: `golden.checkpoints.checkpoint` finds it in the tensors.
    Making one that contradicts itself raises `UserError` naming the field and the remedy.
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
    tie_word_embeddings: bool = False
    qk_layernorm: bool = True
    norm_topk_prob: bool = False
    has_expert_bias: bool = False

    def __post_init__(self) -> None:
        check_model_type(self.model_type)
        for field in dataclasses.fields(self):
            check_type(field.name, getattr(self, field.name), field.type)
        check_supported_values(dataclasses.asdict(self))
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
        check_supported_values(raw)
        known = {field.name: raw[field.name] for field in dataclasses.fields(cls) if raw.get(field.name) is not None}
        known.pop("has_expert_bias", None)
        for name, published in (
            ("mask_token_id", PUBLISHED_MASK_TOKEN_ID),
            ("eos_token_id", PUBLISHED_EOS_TOKEN_ID),
        ):
            if name not in known and isinstance(raw.get("vocab_size"), int) and published < raw["vocab_size"]:
                known[name] = published
        for field in dataclasses.fields(cls):
            if field.name not in known and field.default is dataclasses.MISSING:
                raise UserError(f"field {field.name} is missing; add it to the file")
        for name in ("rope_theta", "rms_norm_eps"):
            if type(known[name]) is int:
                known[name] = float(known[name])
        config = cls(**known)
        check_redundant_fields(raw, config)
        return config

    def to_json_dict(self) -> dict[str, Any]:
        """The Hugging Face form: what `config.json` holds, ready for `json.dumps`."""
        fields = dataclasses.asdict(self)
        del fields["has_expert_bias"]
        return {
            "architectures": ["LLaDAMoEModelLM"],
            **fields,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "moe_layer_freq": [1] * self.num_hidden_layers,
            "moe_router_score_function": "softmax",
            "rope_scaling": None,
        }


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`; `UserError` where it is missing, unreadable, not JSON or not an object."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: the file does not exist; give the folder of a checkpoint") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); download or write the file again") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: holds a JSON {type(raw).__name__} where an object is needed; write the file again")
    return raw


def check_model_type(model_type: Any) -> None:
    if model_type not in MODEL_TYPES:
        raise UserError(
            f"model_type {model_type!r} is not supported; give a LLaDA-MoE checkpoint ({' or '.join(MODEL_TYPES)})"
        )


def check_type(name: str, value: Any, wanted: Any) -> None:
    if type(value) is not wanted:
        raise UserError(f"{name} is {value!r}, which is not of type {wanted.__name__}; correct the field")


def check_supported_values(raw: dict[str, Any]) -> None:
    for name, supported in SUPPORTED_VALUES.items():
        if name in raw and raw[name] not in supported:
            raise UserError(
                f"{name} is {raw[name]!r}, and only {supported[0]!r} is supported; give a checkpoint that has it so"
            )


def check_redundant_fields(raw: dict[str, Any], config: ModelConfig) -> None:
    """Fields that say again what others say already must agree with them."""
    head_dim = raw.get("head_dim")
    if head_dim is not None and head_dim != config.head_dim:
        raise UserError(
            f"head_dim is {head_dim!r} but hidden_size / num_attention_heads is {config.head_dim}; correct one of them"
        )
    frequency = raw.get("moe_layer_freq")
    if frequency not in (None, 1, [1] * config.num_hidden_layers):
        raise UserError(
            f"moe_layer_freq is {frequency!r}, and only a list of {config.num_hidden_layers} ones (num_hidden_layers) "
            "is supported; give a checkpoint whose every layer has experts"
        )


def check_geometry(config: ModelConfig) -> None:
    """Raise `UserError` for the first field that is out of range or contradicts another."""
    for name in POSITIVE_FIELDS:
        value = getattr(config, name)
        if not 0 < value < float("inf"):
            raise UserError(f"{name} is {value}; it must be positive")
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
