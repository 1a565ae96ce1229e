"""The tasks of the larger demonstration model: sums with their carries, sorting, closing brackets; and its alphabet.

`358+467=` -> `011=0825`: the carry out of every column, then the sum. `sort 83152=` -> `12358`. `close ([<>{=` ->
`}])`. Prompts fill whole blocks, with spaces before them.
"""

import random

from hardloom.golden.training.problems import LETTERS, SPECIAL, Problem, Tasks

__all__ = ["BLOCK_LENGTH", "DELETE", "SPLIT", "WORKED_TASKS"]

BLOCK_LENGTH = 8
"""Of the model's attention."""

DELETE, SPLIT = "<delete>", "<split>"
"""What a model says at a token that is one too many, and at one before which another is missing."""

PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
DEEPEST = 5


def in_blocks(task: str, prompt: str, answer: str) -> Problem:
    """A problem whose prompt ends with a block."""
    return Problem(task, prompt.rjust(-(-len(prompt) // BLOCK_LENGTH) * BLOCK_LENGTH), answer)


def worked_sum(draw: random.Random) -> Problem:
    """Two numbers of three digits: the carry out of each column, as on paper, then the sum in four digits.

    Whatever a character depends on is as far before it in every column, which is what makes it quick to learn.
    """
    a, b = draw.randrange(100, 1000), draw.randrange(100, 1000)
    carries = (int(a % unit + b % unit >= unit) for unit in (1000, 100, 10))
    return in_blocks("sum", f"{a}+{b}=", f"{''.join(map(str, carries))}={a + b:04d}")


def sort(draw: random.Random) -> Problem:
    """4 to 7 digits in order."""
    digits = draw.choices("0123456789", k=draw.randint(4, 7))
    return in_blocks("sort", f"sort {''.join(digits)}=", "".join(sorted(digits)))


def close(draw: random.Random) -> Problem:
    """3 to 7 brackets of four kinds; what closes those that are open, at most 5, from the innermost on."""
    text = ""
    open_ones: list[str] = []
    for _ in range(draw.randint(3, 7)):
        if open_ones and (len(open_ones) == DEEPEST or draw.random() < 0.35):
            text += PAIRS[open_ones.pop()]
        else:
            open_ones.append(draw.choice("([{<"))
            text += open_ones[-1]
    return in_blocks("close", f"close {text}=", "".join(PAIRS[one] for one in reversed(open_ones)))


WORKED_TASKS = Tasks(
    {"sum": worked_sum, "sort": sort, "close": close},
    "0123456789" + LETTERS + " +-*=.,?" + "()[]{}<>" + "':;!\"" + "\n",
    (*SPECIAL, DELETE, SPLIT),
)
"""64 tokens; the characters that no task uses are those of English prose in lower case."""
