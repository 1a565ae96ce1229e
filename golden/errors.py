"""The one exception a user's mistake raises."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["UserError", "one_sentence"]

LONGEST = 1000
"""Characters of a message; longer ones, which quote a file at length, lose their middle."""


class UserError(Exception):
    """A mistake in what the user gave: one sentence that names the file, the field and the remedy.

    It is one printable line, whatever it quotes: line breaks, control characters and halves of characters are escaped.
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in message)
        if len(line) > LONGEST:
            line = f"{line[: LONGEST * 2 // 3]} ... {line[-LONGEST // 4 :]}"
        super().__init__(line)


@contextmanager
def one_sentence() -> Iterator[None]:
    """What the file system refuses within is a `UserError`, too."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # not the file system's, like a template of ours that is missing: a fault of ours
            raise
        place = error.filename or nameless()
        raise UserError(f"{place}: {error.strerror}; check the path, its permissions and space") from error


def nameless() -> str:
    """What an error is about that names no file: standard output where that takes no empty line.

    What it still holds goes nowhere then: Python writes it out at its end, and would fail once more.
    """
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "standard output"
    return "file system"
