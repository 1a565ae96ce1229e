"""Problems with one right answer each, and the tokenizer of the characters that they are written in.

One problem in sixteen, by a hash of its prompt, is held out: training never sees it, measuring uses nothing else.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

__all__ = ["EOS", "LETTERS", "MASK", "SPECIAL", "Problem", "Tasks", "held_out"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PAD, EOS, UNKNOWN, MASK = SPECIAL = ("<pad>", "<eos>", "<unk>", "<mask>")
HELD_OUT_ONE_IN = 16


@dataclass(frozen=True)
class Problem:
    """A prompt and its one right answer, both plain text."""

    task: str
    prompt: str
    answer: str


def held_out(problem: Problem) -> bool:
    """Whether a problem is kept from training; spaces before a prompt make no other problem of it."""
    return hashlib.sha256(problem.prompt.lstrip().encode()).digest()[0] % HELD_OUT_ONE_IN == 0


@dataclass(frozen=True)
class Tasks:
    """What a model is asked for.

    Attributes
    ----------
    draw: a function that makes up a problem, for each task.
    alphabet: characters that problems are written in, a token each in their order; special: tokens behind them.
    """

    draw: Mapping[str, Callable[[random.Random], Problem]]
    alphabet: str
    special: tuple[str, ...] = SPECIAL

    @property
    def tokens(self) -> list[str]:
        """The vocabulary, in the order of ids."""
        return [*self.alphabet, *self.special]

    def problems(self, task: str, seed: int, held: bool) -> Iterator[Problem]:
        """Endless different problems of one task (until none is left), all held out or all for training, by seed.

        The stream ends when 100,000 draws brought nothing new.
        """
        draw, seen, idle = random.Random(f"{task} {seed}"), set(), 0
        while idle < 100_000:
            problem = self.draw[task](draw)
            idle += 1
            if held_out(problem) == held and problem.prompt not in seen:
                idle = 0
                seen.add(problem.prompt)
                yield problem

    def tokenizer(self) -> Tokenizer:
        """One token a character; decoding joins them and drops the special ones."""
        vocabulary = {text: index for index, text in enumerate(self.tokens)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens(list(self.special))
        return tokenizer
