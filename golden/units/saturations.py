"""Counts of what saturates, by site."""

from dataclasses import dataclass, field

from torch import Tensor

from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Watch"]


@dataclass(frozen=True)
class WatchedWord(FixedPoint):
    """A word that counts, under the name of its site, every element that it saturates."""

    site: str = field(compare=False)
    counts: dict[str, int] = field(compare=False, repr=False)

    def saturate(self, x: Tensor) -> Tensor:
        self.count(x)
        return super().saturate(x)

    def saturate_(self, x: Tensor) -> Tensor:
        self.count(x)
        return super().saturate_(x)

    def count(self, x: Tensor) -> None:
        if not x.numel():
            return
        least, most = x.aminmax()  # one pass, and mostly all that it takes
        if least < self.min or most > self.max:
            beyond = int(((x < self.min) | (x > self.max)).sum())
            self.counts[self.site] = self.counts.get(self.site, 0) + beyond


@dataclass(frozen=True)
class Watch:
    """Words as the units of a part have them: plain, or watched where `counts` is given.

    Attributes
    ----------
    place: what the names of the part's sites begin with, `layer.3.` or nothing.
    """

    place: str = ""
    counts: dict[str, int] | None = None

    def __call__(self, word: FixedPoint, site: str) -> FixedPoint:
        if self.counts is None:
            return word
        return WatchedWord(word.width, word.frac, self.place + site, self.counts)
