"""What a family does with every field that its `config.json` may hold.

A field is used (the adapter reads it), fixed (the model is the one we compute under these values alone), or harmless
(no value changes what is computed). Any other field is refused unless it is null: it could change the model.
"""

from dataclasses import dataclass
from typing import Any

from hardloom.golden.errors import UserError
from hardloom.golden.shape import LayerShape, ModelShape

__all__ = ["HARMLESS", "FieldRules", "Fields", "head_dim_of", "key_value_heads_of", "model_of"]

Fixed = dict[str, tuple[tuple[Any, ...], str]]
"""Name to the values under which the model is the one we compute, and why these."""

LARGEST: dict[str, float] = {
    **dict.fromkeys(("vocab_size", "embedding_size"), 1 << 24),
    **{"num_hidden_layers": 1 << 12, "max_position_embeddings": 1 << 28},
}
"""Largest value of a count, far beyond any model, small enough to be counted at once; of others see `MOST`."""
MOST = 1 << 20

PUBLISHED_TOKENS = {"mask_token_id": 156895, "eos_token_id": 156892}
"""Of LLaDA-MoE and LLaDA2: a published file need not have the first, which is an argument of the generation code."""

HARMLESS: dict[str, str] = {
    "architectures": "names a class; tensors and model_type decide",
    "auto_map": "where transformers finds the published code",
    "transformers_version": "a record",
    "_name_or_path": "a record",
    "name_or_path": "a record",
    "dtype": "the tensors' headers have theirs",
    "torch_dtype": "the tensors' headers have theirs",
    "attn_implementation": "one of several programs for the same attention",
    "_attn_implementation": "one of several programs for the same attention",
    "_attn_implementation_autoset": "one of several programs for the same attention",
    "use_cache": "keys are computed anew in every step",
    "initializer_range": "training only",
    "attention_dropout": "training only",
    "hidden_dropout": "training only",
    "embedding_dropout": "training only",
    "residual_dropout": "training only",
    "output_dropout": "training only",
    "router_aux_loss_coef": "training only",
    "router_z_loss_coef": "training only",
    "router_jitter_noise": "training only",
    "output_router_logits": "an extra output",
    "output_hidden_states": "an extra output",
    "output_attentions": "an extra output",
    "return_dict": "the form of the output",
    "use_return_dict": "the form of the output",
    "torchscript": "the form of the program",
    "use_bfloat16": "the form of the program",
    "chunk_size_feed_forward": "the same sums in parts",
    "tie_encoder_decoder": "there is one stack of layers",
    "cross_attention_hidden_size": "there is one stack of layers",
    "pad_token_id": "sequences are not padded",
    "bos_token_id": "prompts are taken as they are",
    "sep_token_id": "prompts are taken as they are",
    "decoder_start_token_id": "prompts are taken as they are",
    "prefix": "prompts are taken as they are",
    "tokenizer_class": "tokenizer.json is the tokenizer",
    "finetuning_task": "a record",
    "task_specific_params": "a record",
    "problem_type": "classification only",
    "id2label": "classification only",
    "label2id": "classification only",
    **dict.fromkeys(
        (
            *("max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups"),
            *("diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty"),
            *("length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
            *("num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id"),
            *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty"),
            *("suppress_tokens", "begin_suppress_tokens"),
        ),
        "asks for autoregressive generation; the sampler's own parameters decide",
    ),
}
"""What any family may carry without effect: name to why no value of it changes what is computed."""


@dataclass(frozen=True)
class FieldRules:
    """A family's fields: those that its adapter reads, the fixed and the harmless ones; `HARMLESS` goes for all."""

    used: tuple[str, ...]
    fixed: Fixed
    harmless: dict[str, str]

    def check(self, raw: dict[str, Any]) -> None:
        """Raise `UserError` for the first field that asks for another model, or is not known and not null."""
        for name, value in raw.items():
            if name in self.fixed:
                values, reason = self.fixed[name]
                if value not in values or (isinstance(value, bool) and not any(value is known for known in values)):
                    raise UserError(
                        f"{name} is {value!r}, and only {values[0]!r} is supported ({reason}); give a checkpoint that "
                        "has it so"
                    )
            elif name not in self.used and name not in self.harmless and name not in HARMLESS and value is not None:
                raise UserError(
                    f"field {name} ({value!r:.40}) is not known here and could change the model; remove it if it does "
                    "not"
                )


class Fields:
    """Fields of a `config.json`, read by type and range; every method raises `UserError` naming the field.

    Null is the same as absent.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.given = {name: value for name, value in raw.items() if value is not None}

    def require(self, *names: str) -> None:
        """Raise `UserError` that names all that are missing together."""
        if missing := [name for name in names if name not in self.given]:
            what = f"fields {', '.join(missing)} are" if len(missing) > 1 else f"field {missing[0]} is"
            raise UserError(f"{what} missing; add what the model's authors say")

    def count(self, name: str, default: int | None = None, most: float | None = None) -> int:
        """A positive whole number."""
        value = self.typed(name, int, default)
        check_range(name, value, LARGEST.get(name, MOST) if most is None else most)
        return value

    def real(self, name: str, most: float, default: float | None = None) -> float:
        """A positive number."""
        value = self.given.get(name, default)
        if type(value) is int and abs(value) < 1 << 53:
            value = float(value)
        if type(value) is not float:
            raise UserError(f"{name} is {value!r:.80}, which is not of type float; correct the field")
        check_range(name, value, most)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        return self.typed(name, bool, default)

    def typed(self, name: str, wanted: type, default: Any = None) -> Any:
        value = self.given.get(name, default)
        if type(value) is not wanted:
            raise UserError(f"{name} is {value!r:.80}, which is not of type {wanted.__name__}; correct the field")
        return value

    def same(self, name: str, said: Any, of: str) -> None:
        """A field that says again what others say already must agree with them."""
        if name in self.given and (self.given[name] != said or type(self.given[name]) is not type(said)):
            raise UserError(f"{name} is {self.given[name]!r:.80} but {of} is {said}; correct one of them")

    def token(self, name: str, vocab_size: int, default: int | None = None) -> int:
        """A token id."""
        value = self.typed(name, int, default)
        check_token(name, value, vocab_size)
        return value

    def special_tokens(self, vocab_size: int) -> tuple[int, tuple[int, ...]]:
        """`mask_token_id`, and `eos_token_id`, which must differ."""
        mask, ends = self.token("mask_token_id", vocab_size), self.tokens("eos_token_id", vocab_size)
        if mask in ends:
            raise UserError(f"mask_token_id and eos_token_id are both {mask}; give them different tokens")
        return mask, ends

    def tokens(self, name: str, vocab_size: int, default: int | None = None) -> tuple[int, ...]:
        """One token id or a list of some, as transformers has them for the ends of an answer."""
        value = self.given.get(name, default)
        if isinstance(value, list) and value and all(type(token) is int for token in value):
            for token in value:
                check_token(name, token, vocab_size)
            return tuple(value)
        return (self.token(name, vocab_size, default),)

    def add_published_tokens(self) -> None:
        """Give mask and end token their published ids where the file has none and the vocabulary reaches them."""
        vocabulary = self.given.get("vocab_size")
        for name, published in PUBLISHED_TOKENS.items():
            if isinstance(vocabulary, int) and published < vocabulary:
                self.given.setdefault(name, published)

    def unfold_rope(self) -> None:
        """Take `rope_theta` and `partial_rotary_factor` out of `rope_parameters`, where transformers 5 writes them.

        Raises `UserError` where they are said twice and differ, or where anything but plain embedding is asked for.
        """
        for outer in ("rope_scaling", "rope_parameters"):
            fields = self.given.get(outer, {})
            plain = isinstance(fields, dict) and {fields.get(key) for key in ("rope_type", "type")} <= {"default", None}
            if not plain or set(fields) - {"rope_type", "type", "rope_theta", "partial_rotary_factor"}:
                raise UserError(
                    f"{outer} is {fields!r:.80}, and only plain rotary embedding is supported (null, or rope_type "
                    "'default'); give a checkpoint that has it so"
                )
            for name in ("rope_theta", "partial_rotary_factor"):
                if fields.get(name) is not None and self.given.setdefault(name, fields[name]) != fields[name]:
                    raise UserError(
                        f"{name} is {self.given[name]!r} but {fields[name]!r} in {outer}; correct one of them"
                    )

    def rotary_dim(self, head_dim: int) -> int:
        """Elements of a head that `partial_rotary_factor` (absent or -1: all) leaves to rotary embedding."""
        share = self.given.get("partial_rotary_factor", 1.0)
        turned = head_dim if share == -1 else share * head_dim if isinstance(share, (int, float)) else 0
        if isinstance(share, bool) or not 0 < turned <= head_dim or turned % 2:
            raise UserError(
                f"partial_rotary_factor is {share!r:.80}; of head_dim {head_dim} it must leave an even number to turn"
            )
        return int(turned)


def check_range(name: str, value: float, most: float) -> None:
    if not 0 < value < float("inf"):
        raise UserError(f"{name} is {value}; it must be positive")
    if value > most:
        raise UserError(f"{name} is {value}; no model has more than {most:,}, correct the field")


def check_token(name: str, token: int, vocab_size: int) -> None:
    if not 0 <= token < vocab_size:
        raise UserError(f"{name} {token} lies outside the vocabulary (vocab_size {vocab_size}); correct one of them")


def head_dim_of(hidden: int, heads: int) -> int:
    """Width of a head where heads share the hidden vector evenly."""
    if hidden % heads:
        raise UserError(f"hidden_size {hidden} is no multiple of num_attention_heads {heads}; correct one of them")
    if hidden // heads % 2:
        raise UserError(
            f"head_dim {hidden // heads} (hidden_size / num_attention_heads) is odd, and rotary embedding needs pairs; "
            "choose an even one"
        )
    return hidden // heads


def key_value_heads_of(
    fields: Fields, heads: int, queries: str = "num_attention_heads", keys: str = "num_key_value_heads"
) -> int:
    """Heads of keys and values, as many as queries where there is no field; queries, keys: names of fields."""
    key_value_heads = fields.count(keys, heads, 1 << 16)
    if heads % key_value_heads:
        raise UserError(f"{queries} {heads} is no multiple of {keys} {key_value_heads}; correct one of them")
    return key_value_heads


def model_of(
    family: str, fields: Fields, layers: tuple[LayerShape, ...], masked: bool = True, shift: int = 0, tied: bool = False
) -> ModelShape:
    """A model of these layers whose other fields are called as transformers calls them; masked: it has a mask token."""
    vocab_size = fields.count("vocab_size")
    mask, ends = fields.special_tokens(vocab_size) if masked else (None, fields.tokens("eos_token_id", vocab_size))
    return ModelShape(
        family=family,
        vocab_size=vocab_size,
        hidden_size=fields.count("hidden_size"),
        layers=layers,
        rms_norm_eps=fields.real("rms_norm_eps", 1.0),
        max_position_embeddings=fields.count("max_position_embeddings"),
        mask_token_id=mask,
        eos_token_ids=ends,
        tied=tied,
        shift=shift,
    )
