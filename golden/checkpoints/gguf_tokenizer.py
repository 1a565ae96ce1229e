"""The tokenizer in a GGUF file."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from hardloom.golden.checkpoints.tokenizer import reason
from hardloom.golden.errors import UserError

__all__ = ["LISTS", "tokenizer_of"]

PRE_TOKENIZERS = {"smollm": (pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False))}
"""By `tokenizer.ggml.pre`."""
CONTROL = 3
"""Type of a token that no text spells."""

LISTS = {"tokens": str, "merges": str, "token_type": int}
"""Keys behind `tokenizer.ggml.`, and what they are lists of."""


def tokenizer_of(file: Path, values: dict[str, Any]) -> Tokenizer:
    """Byte-level BPE from the file's tokens and merges. Raises `UserError` where they are none."""
    kind, pre = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre")
    if kind != "gpt2" or pre not in PRE_TOKENIZERS:
        raise UserError(
            f"{file}: tokenizer {kind!r:.20} ({pre!r:.20}) is not known; only gpt2 (smollm) is read from GGUF"
        )
    tokens, merges, types = (listed(file, values, name) for name in LISTS)
    if len(types) != len(tokens) or len({*tokens}) != len(tokens):
        raise UserError(f"{file}: tokenizer.ggml.tokens has a token twice, or not as many as token_type")
    pairs = [tuple(merge.split(" ")) for merge in merges]
    if wrong := [merge for merge, pair in zip(merges, pairs, strict=True) if len(pair) != 2]:
        raise UserError(f"{file}: tokenizer.ggml.merges: {wrong[0]!r:.40} is no pair of tokens")
    try:
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, pairs))
    except BaseException as error:  # the library raises nothing more specific
        raise UserError(f"{file}: tokens and merges are of no tokenizer ({reason(error)})") from None
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(PRE_TOKENIZERS[pre]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True) for token, type_ in zip(tokens, types, strict=True) if type_ == CONTROL]
    )
    return tokenizer


def listed(file: Path, values: dict[str, Any], name: str) -> list[Any]:
    """The list of key `name`, each element of its type."""
    found = values.get(f"tokenizer.ggml.{name}")
    if not isinstance(found, list) or not all(isinstance(one, LISTS[name]) for one in found):
        raise UserError(f"{file}: tokenizer.ggml.{name} is missing, or no list of {LISTS[name].__name__}")
    return found
