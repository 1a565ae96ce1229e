"""A checkpoint's `tokenizer.json`, and prompts that reach the model as they were given, or not at all."""

import json
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Encoding, Tokenizer, models

from hardloom.golden.checkpoints.json_files import read_regular_file
from hardloom.golden.errors import UserError

__all__ = ["encode_prompt", "load_tokenizer", "reason"]

METASPACE = "▁"
"""What SentencePiece writes for a space."""


def load_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer of the checkpoint `folder`, or None. It neither cuts nor pads, nor leaves anything to chance."""
    path = folder / "tokenizer.json"
    if not os.path.lexists(path):  # a link that leads nowhere is no missing tokenizer
        return None
    text = read_regular_file(path)
    try:
        with unheard():
            tokenizer = Tokenizer.from_str(text.decode())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None
    except BaseException as error:  # the library raises nothing more specific, and its panics are no Exception
        raise UserError(f"{path}: is no tokenizer ({reason(error)}); copy or download the file again") from None
    check_ids(path, tokenizer)
    return tokenizer


def check_ids(path: Path, tokenizer: Tokenizer) -> None:
    """Raise `UserError` where two tokens have one id, of which only one could be written back as text."""
    first: dict[int, str] = {}
    for token, number in sorted(tokenizer.get_vocab().items()):
        if first.setdefault(number, token) != token:
            raise UserError(
                f"{path}: tokens {first[number]!r:.40} and {token!r:.40} both have id {number}; give each its own"
            )


@contextmanager
def unheard() -> Iterator[None]:
    """What the tokenizers library writes to standard error within is dropped: where it panics, a trace of its own, and
    the exception says the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def encode_prompt(
    folder: Path, tokenizer: Tokenizer | None, text: str, vocab_size: int, source: str = "--prompt"
) -> list[int]:
    """Token ids of `text`, at least one, each below `vocab_size`; `source` is where errors say that it is from.

    Raises `UserError` without a tokenizer, for text of which a character is not in its vocabulary, changed or left out
    on the way, and for tokens that the model does not have.
    """
    path = folder / "tokenizer.json"
    if tokenizer is None:
        raise UserError(f"{folder}: has no tokenizer.json; give the prompt as token ids with --prompt-tokens")
    if not text:
        raise UserError(f"{source}: is empty; give at least one character")
    try:
        with unheard():
            encoding = tokenizer.encode(text, add_special_tokens=False)
        kept = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
    except BaseException as error:  # as above
        raise UserError(f"{source}: {path} fails on it ({reason(error)}); correct the file or the prompt") from None
    covered = set(covered_characters(tokenizer, text, encoding, source))
    composed = tokenizer.normalizer is not None  # a normalizer may put a letter and its accents together
    missing = [c for i, c in enumerate(text) if i not in covered and not (composed and unicodedata.combining(c))]
    if missing:  # behind a character that is dropped, offsets are one too low: name one that gives nothing by itself
        lost = next((c for c in text if not tokenizer.encode(c, add_special_tokens=False).ids), missing[0])
        raise UserError(f"{source}: the tokenizer drops {lost!r}, which is not in its vocabulary; leave it out")
    if plain(kept) != plain(text):
        raise UserError(f"{source}: the normalizer of {path} makes it {kept!r:.80}; give it in that form")
    for token, number in zip(encoding.tokens, encoding.ids, strict=True):
        if number >= vocab_size:
            raise UserError(
                f"{path}: token {token!r} has id {number}, and the model's vocabulary ends at {vocab_size - 1} "
                "(vocab_size); give the tokenizer that belongs to the model"
            )
    return encoding.ids


def covered_characters(tokenizer: Tokenizer, text: str, encoding: Encoding, source: str) -> Iterator[int]:
    """Places of `text` that its tokens stand for; `UserError` where one stands for what is not known, or for more than
    it is."""
    unknown, added = unknown_id(tokenizer), tokenizer.get_added_tokens_decoder()
    greedy = {number: one.content for number, one in added.items() if one.lstrip or one.rstrip}
    for number, (begin, end) in zip(encoding.ids, encoding.offsets, strict=True):
        if number == unknown and text[begin:end] != tokenizer.id_to_token(number):
            raise UserError(f"{source}: {text[begin:end]!r} is not in the tokenizer's vocabulary; leave it out")
        if number in greedy and text[begin:end] != greedy[number]:
            raise UserError(f"{source}: the token {greedy[number]!r} swallows the spaces beside it; leave them out")
        yield from range(begin, end)


def unknown_id(tokenizer: Tokenizer) -> int | None:
    """Of the token that stands for text that is not in the vocabulary; a Unigram model says it in its file alone."""
    if isinstance(tokenizer.model, models.Unigram):
        number: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")
        return number
    named = getattr(tokenizer.model, "unk_token", None)
    return None if named is None else tokenizer.token_to_id(named)


def plain(text: str) -> str:
    """`text` in one of its equivalent Unicode forms, spaces as SentencePiece has them turned back."""
    return unicodedata.normalize("NFC", text.replace(METASPACE, " ")).strip(" ")


def reason(error: BaseException) -> str:
    """What an exception of the tokenizers library says, in a line; a wish to stop goes on."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
