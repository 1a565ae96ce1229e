"""Engines that predict what a test wants, and a vocabulary for them."""

from dataclasses import dataclass

import torch

from hardloom.golden.samplers.denoise import CERTAIN, Prediction
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.samplers.sampling import denoise

MASK, EOS, DELETE, SPLIT = 99, 98, 96, 95


@dataclass(frozen=True)
class Tokens:
    """A vocabulary, without a model."""

    vocab_size: int = 100
    mask_token: int = MASK
    bidirectional: bool = True
    max_position_embeddings: int = 4096
    eos_token_ids: tuple[int, ...] = (EOS, 97)
    delete_token_id: int | None = DELETE
    split_token_id: int | None = SPLIT

    @property
    def token_ids(self) -> int:
        return max(self.vocab_size, self.mask_token + 1)


class Scripted:
    """Predicts fixed tokens and spreads, whatever the sequence holds; `passes` counts predictions."""

    def __init__(self, tokens, spread):
        self.tokens, self.spread = torch.tensor(tokens), (torch.tensor(spread) * CERTAIN).round().long()
        self.passes = 0

    def predict(self, tokens, wanted=None, manners=None, kept=None):
        self.passes += 1
        rows = len(tokens)
        return Prediction(self.tokens[:rows], self.spread[:rows])


class Hashing:
    """Predicts arbitrary tokens of the first `tokens` and coarse spreads with many ties, all depending on the sequence.

    special: tokens that are predicted besides, each about once in ten times; flat: one spread; near: spreads that are
    almost the same besides.
    """

    def __init__(self, seed, tokens=90, special=(), flat=False, near=False):
        self.seed, self.count, self.special, self.flat, self.near = seed, tokens, special, flat, near
        self.known = {}

    def predict(self, tokens, wanted=None, manners=None, kept=None):
        suppressed = [manner.suppressed for manner in manners or [Manner()] * len(tokens)]
        return Prediction(*torch.tensor(list(map(self.row, tokens.tolist(), suppressed))).unbind(1))

    def row(self, sequence, suppressed=()):
        """Of one sequence: guesses, of which some tokens are none, and spreads."""
        key = tuple(sequence), tuple(sorted(suppressed))
        if key not in self.known:
            self.known[key] = tuple(zip(*(self._position(*key, p) for p in range(len(sequence))), strict=True))
        return self.known[key]

    def _position(self, key, suppressed, p):
        around = key[p] * 7 + key[p - 1] * 31 + key[(p + 1) % len(key)] * 5 + p * 17 + self.seed
        mixed = (around * 2654435761 >> 7) & 0xFFFFF
        special = mixed // 100 % 10
        guess = self.special[special] if special < len(self.special) else mixed % self.count
        while guess in suppressed:
            guess = (guess + 1) % self.count
        spread = CERTAIN + (0 if self.flat else mixed // 7 % 5 * 30000) + (mixed // 1000 % 4 if self.near else 0)
        return guess, spread


def steps_of(engine, prompt, sampling, model=None):
    """Steps of a run on rows of prompts."""
    return list(denoise(engine, torch.tensor(prompt), sampling, model or Tokens()))


def commits(steps, row=0):
    """Positions that each step writes, ascending."""
    return [step.committed[row].nonzero().flatten().tolist() for step in steps]
