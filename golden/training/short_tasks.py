"""The two tasks of the small demonstration model: `47+25=` -> `072`, `rev abcde=` -> `edcba`."""

import random

from hardloom.golden.training.problems import LETTERS, Problem, Tasks

__all__ = ["SHORT_TASKS"]


def addition(draw: random.Random) -> Problem:
    """The sum of two numbers of two digits, in three digits: a digit in a place of its own is far quicker to learn."""
    a, b = draw.randrange(10, 100), draw.randrange(10, 100)
    return Problem("addition", f"{a}+{b}=", f"{a + b:03d}")


def reversal(draw: random.Random) -> Problem:
    """3 to 6 letters in reverse."""
    word = "".join(draw.choices(LETTERS, k=draw.randint(3, 6)))
    return Problem("reversal", f"rev {word}=", word[::-1])


SHORT_TASKS = Tasks({"addition": addition, "reversal": reversal}, "0123456789" + LETTERS + " +-*=.,?")
"""8,100 problems of addition; more of reversal than anybody draws."""
