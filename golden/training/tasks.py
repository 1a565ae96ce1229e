"""Two tasks with checkable answers, and their tokenizer: what the demonstration model is trained on and measured by.

A problem is a prompt and its one right answer: `47+25=` -> `072`, `rev abcde=` -> `edcba`. One problem in sixteen, by a
hash of its prompt, is held out: training never sees it, measuring uses nothing else.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

__all__ = ["ALPHABET", "EOS", "MASK", "SPECIAL", "TASKS", "Problem", "build_tokenizer", "held_out", "problems"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ALPHABET = "0123456789" + LETTERS + " +-*=.,?"
PAD, EOS, UNKNOWN, MASK = SPECIAL = ("<pad>", "<eos>", "<unk>", "<mask>")
HELD_OUT_ONE_IN = 16


@dataclass(frozen=True)
class Problem:
    """A prompt and its one right answer, both plain text."""

    task: str
    prompt: str
    answer: str


def addition(draw: random.Random) -> Problem:
    """The sum of two numbers of two digits, in three digits: a digit in a place of its own is far quicker to learn."""
    a, b = draw.randrange(10, 100), draw.randrange(10, 100)
    return Problem("addition", f"{a}+{b}=", f"{a + b:03d}")


def reversal(draw: random.Random) -> Problem:
    """3 to 6 letters in reverse."""
    word = "".join(draw.choices(LETTERS, k=draw.randint(3, 6)))
    return Problem("reversal", f"rev {word}=", word[::-1])


TASKS: dict[str, Callable[[random.Random], Problem]] = {"addition": addition, "reversal": reversal}


def held_out(problem: Problem) -> bool:
    """Whether a problem is kept from training."""
    return hashlib.sha256(problem.prompt.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def problems(task: str, seed: int, held: bool) -> Iterator[Problem]:
    """Endless different problems of one task (until none is left), all held out or all for training, by seed.

    The stream ends when 100,000 draws brought nothing new, which addition does after its 8,100 problems.
    """
    draw, seen, idle = random.Random(f"{task} {seed}"), set(), 0
    while idle < 100_000:
        problem = TASKS[task](draw)
        idle += 1
        if held_out(problem) == held and problem.prompt not in seen:
            idle = 0
            seen.add(problem.prompt)
            yield problem


def build_tokenizer() -> Tokenizer:
    """One token a character of `ALPHABET` in its order, then `SPECIAL`; decoding joins and drops the special ones."""
    vocabulary = {text: index for index, text in enumerate([*ALPHABET, *SPECIAL])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
