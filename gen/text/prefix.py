"""A prefix in front of every module's name, so that two chips fit in one design."""

import re
from collections.abc import Iterable, Iterator

from hardloom.gen.text.keywords import KEYWORDS
from hardloom.golden.errors import UserError
from hardloom.golden.files import Contents

__all__ = ["check_prefix", "prefixed", "renamed", "unprefixed", "with_prefix"]

PREFIX = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
"""Short enough that no name of a file becomes too long."""

NO_INSTANCE = "|".join(sorted(KEYWORDS)).encode()
PLACE = re.compile(rb"^(module (?=\w+ \()| +(?=\w+ \w+ \()(?!(?:" + NO_INSTANCE + rb") )|// (?=\w+: ))", re.MULTILINE)
"""What stands before a module's name: in its head, in an instance, in the comment above it."""


def check_prefix(prefix: str) -> None:
    """Raises `UserError` where modules called `prefix`_... would have no legal names."""
    if prefix and not PREFIX.fullmatch(prefix):
        raise UserError(
            f"--prefix: {prefix!r:.80} is none; give a letter, then at most 63 letters, digits and underscores"
        )


def prefixed(name: str, prefix: str) -> str:
    """What module `name` is called where all modules have `prefix`; "": none."""
    return f"{prefix}_{name}" if prefix else name


def unprefixed(name: str, prefix: str) -> str:
    """What module `name` would be called without the prefix; what has none keeps its name."""
    return name.removeprefix(prefixed("", prefix))


def with_prefix(contents: Contents, prefix: str) -> Contents:
    """Verilog whose modules, and those that they instantiate, are called `prefix`_...; "" leaves it as it is.

    Heads, instances and comments are written as all of ours are: each at the begin of a line.
    """
    if not prefix:
        return contents
    whole = contents.encode() if isinstance(contents, str) else contents
    return renamed([whole] if isinstance(whole, bytes) else whole, prefix)


def renamed(pieces: Iterable[bytes], prefix: str) -> Iterator[bytes]:
    """Whole lines of `pieces`, their modules called `prefix`_..., or as they are."""
    if not prefix:
        yield from pieces
        return
    rest = b""
    for piece in pieces:
        lines, end, begun = piece.rpartition(b"\n")
        if end:
            yield PLACE.sub(rb"\g<1>" + prefix.encode() + b"_", rest + lines + end)
            rest = begun
        else:
            rest += begun
    yield rest
