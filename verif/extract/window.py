"""A text of many GB, of which a few statements at a time are held."""

from collections.abc import Iterable

__all__ = ["Window"]

LONGEST = 1 << 28
"""Bytes of the longest text that is held at once; a longer statement counts as malformed."""
BEHIND = 8
"""Bytes that are held behind a statement, where there are any: slots are read so many at a time."""


class Window:
    """The text of `pieces`, drawn as it is needed.

    Attributes
    ----------
    data: what is held of it.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.data = b""
        self._pieces = iter(pieces)

    def grow(self) -> bool:
        """Hold twice as much of the text as before, at least; False where there is no more or it is too long."""
        some = [self.data]
        size, wanted = len(self.data), 2 * len(self.data) + 1
        while size < min(wanted, LONGEST) and (piece := next(self._pieces, None)) is not None:
            some.append(piece)
            size += len(piece)
        grown, self.data = size > len(self.data), b"".join(some)
        return grown

    def hold(self, at: int, end: bytes) -> int:
        """Hold the text from byte `at` of `data` to the next `end` at least, if there is one; where `at` is then.

        What lies before `at` may be dropped.
        """
        while (found := self.data.find(end, at)) < 0 or found + len(end) + BEHIND > len(self.data):
            if at:
                self.data, at = self.data[at:], 0
            if not self.grow():
                break
        return at

    def rest(self, at: int) -> bytes:
        """The text from `at` to its end, of at most `LONGEST` bytes."""
        self.data = self.data[at:]
        while self.grow():
            pass
        return self.data
