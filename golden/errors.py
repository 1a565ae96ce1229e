"""The one exception a user's mistake raises."""

__all__ = ["UserError"]

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
