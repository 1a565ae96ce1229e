"""How a file of integers is read and compared: a few rows at a time, neither text nor integers whole."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Comparison", "Reading"]

COMPARED = 1 << 18
"""Integers compared at once, at least, where there are more."""


@dataclass(frozen=True)
class Reading:
    """How one file is read.

    Attributes
    ----------
    file: in the build folder.
    what: it holds: `weights`, `constants`, a `table`, or `state` (memories, of which there must be none).
    expected: gives the rows from one to another of the integers that should be there; behind the last there are none.
    read: the pieces of the file's text to consecutive rows of those that are; raises ExtractionError.
    shape: what the rows are numbered by, outermost first: banks and their rows, or rows alone.
    """

    file: str
    what: str
    expected: Callable[[int, int], np.ndarray] = field(repr=False)
    read: Callable[[Iterable[bytes]], Iterable[np.ndarray]] = field(repr=False)
    shape: tuple[int, ...]

    def compare(self, pieces: Iterable[bytes]) -> "Comparison":
        """What the text holds against what it should; all `pieces` are drawn, whatever they hold."""
        text = iter(pieces)
        total = matching = at = 0
        first: str | None = None
        try:
            for got in joined(self.read(text)):
                expected = self.expected(at, at + len(got))
                same = expected == got if expected.shape == got.shape else np.zeros(expected.shape, dtype=bool)
                total, matching = total + expected.size, matching + int(np.count_nonzero(same))
                if first is None and (expected.shape != got.shape or not same.all()):
                    first = f"{self.file}: {self.difference(at, expected, got, same)}"
                at += len(got)
        except ExtractionError as error:
            return Comparison(self.file, self.what, 0, 0, f"{self.file}: {error}", False)
        except UnicodeDecodeError:
            return Comparison(self.file, self.what, 0, 0, f"{self.file}: is no text in UTF-8", False)
        finally:
            deque(text, maxlen=0)
        if missing := self.expected(at, int(np.prod(self.shape))).size if at < np.prod(self.shape) else 0:
            total, first = total + missing, first or f"{self.file}: ends {missing} integers early"
        return Comparison(self.file, self.what, total, matching, first)

    def difference(self, at: int, expected: np.ndarray, got: np.ndarray, same: np.ndarray) -> str:
        """The first one of the rows from number `at` on, in words."""
        if expected.shape != got.shape:
            return f"expected integers of shape {list(expected.shape)}, got {list(got.shape)}"
        row, *rest = (int(i) for i in np.argwhere(~same)[0])
        banks = np.unravel_index(at + row, self.shape) if len(self.shape) > 1 else (at + row,)
        place, index = [*map(int, banks), *rest], (row, *rest)
        return f"at {place}: expected {int(expected[index])}, got {int(got[index])}"


@dataclass(frozen=True)
class Comparison:
    """Integers expected of a file, those that match, the first difference in words; legible: the text could be read.

    file, what: of its `Reading`; `dropped` where its text is gone: of `expected` weights, proven as they were written,
        a second reader read `matching` too.
    """

    file: str
    what: str
    expected: int
    matching: int
    first: str | None
    legible: bool = True


def joined(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Consecutive rows, `COMPARED` integers or more at a time; the last ones as they are left."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(one.size for one in held) >= COMPARED:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
