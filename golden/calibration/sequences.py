"""Text or token ids as sequences that a model is run on, masked where the model denoises."""

import re
from pathlib import Path

import torch
from torch import Tensor

from hardloom.golden.checkpoints.json_files import read_regular_file
from hardloom.golden.checkpoints.tokenizer import encode_prompt, load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["masked", "sequences_of", "text_tokens", "token_file"]

LENGTH = 256
"""Positions of a sequence, where the model has as many."""
LEAST_TOKENS = 512
"""Fewer say too little of a model's ranges."""


def text_tokens(file: Path, checkpoint: Path, model: ModelShape) -> list[int]:
    """Token ids of a text in UTF-8, by the checkpoint's tokenizer; `UserError` where it is not in its vocabulary."""
    try:
        text = read_regular_file(file).decode()
    except UnicodeDecodeError:
        raise UserError(f"{file}: is no text in UTF-8; give one, or a file of token ids") from None
    if not text.strip():
        raise UserError(f"{file}: is empty; give a text of at least {LEAST_TOKENS} tokens")
    tokenizer = load_tokenizer(checkpoint)
    if tokenizer is None:
        raise UserError(f"{checkpoint}: has no tokenizer.json to read {file} with; give a file of token ids")
    return encode_prompt(checkpoint, tokenizer, text, model.vocab_size, str(file))


def token_file(file: Path, model: ModelShape) -> list[int]:
    """Token ids of a file that holds whole numbers between spaces, commas or ends of lines, or in lists of JSON."""
    words = [word for word in re.split(rb"[\s,\[\]]+", read_regular_file(file)) if word]
    if strange := [word for word in words if not re.fullmatch(rb"\d{1,9}", word)]:
        raise UserError(
            f"{file}: {strange[0].decode(errors='replace')!r:.40} is no token id; give whole numbers between spaces or "
            "commas, or a list of them in JSON"
        )
    tokens = [int(word) for word in words]
    for place, token in enumerate(tokens):
        if token >= model.vocab_size:
            raise UserError(
                f"{file}: token {token} at place {place} is not of the model's vocabulary, which ends at "
                f"{model.vocab_size - 1}; give ids of its own tokenizer"
            )
    return tokens


def sequences_of(tokens: list[int], model: ModelShape, file: Path, most: int) -> Tensor:
    """The first `most` of `tokens` in sequences of one length, int64 [sequences, positions]; what is left over is
    dropped. `UserError` naming `file`, or the option `--most`, where there are too few,
    or one of them is the mask token."""
    taken = min(len(tokens), most)
    if most < LEAST_TOKENS:
        raise UserError(f"--most: {most} tokens are too few; give {LEAST_TOKENS} or more")
    if taken < LEAST_TOKENS:
        raise UserError(f"{file}: {taken} tokens of it are too few; calibrate on at least {LEAST_TOKENS}")
    if model.mask_token_id in tokens[:taken]:
        raise UserError(
            f"{file}: has the mask token {model.mask_token_id}; give a text of words, masks are set by --seed"
        )
    length = min(LENGTH, model.max_position_embeddings)
    count = taken // length
    return torch.tensor(tokens[: count * length]).view(count, length)


def masked(sequences: Tensor, model: ModelShape, seed: int) -> Tensor:
    """What the model is run on: for one that denoises, each sequence with a share of its positions masked that is drawn
    evenly from 0 to 1; for another, the sequences as they are."""
    if model.mask_token_id is None:
        return sequences
    random = torch.Generator().manual_seed(seed)
    share = torch.rand(len(sequences), 1, generator=random)
    hidden = torch.rand(sequences.shape, generator=random) < share
    return sequences.masked_fill(hidden, model.mask_token_id)
