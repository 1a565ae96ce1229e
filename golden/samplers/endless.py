"""Whether a run is again where it has been: then it never ends."""

from collections.abc import Hashable

__all__ = ["Watch"]


class Watch:
    """States of one run, pass after pass, of which one is kept (R. Brent, BIT 20, 1980).

    What a state says, and what passes have left (`computes`), must decide every later one. The kept state is the first,
    second, fourth, eighth and so on, so that a loop of n passes which begins behind m others is told within
    2 * max(m + 1, n) + n of them.
    """

    def __init__(self) -> None:
        self.kept: Hashable = None
        self.seen, self.until = 0, 1
        self.left = 0
        self.latest: Hashable = None
        self.numbers: dict[Hashable, int] = {}

    def computes(self, what: Hashable, anew: bool) -> None:
        """The next pass computes keys and values of some positions; those of the others stay as passes have left them.

        what: names positions and tokens; anew: it computes all positions, so that nothing is left of those before it.
        Equal passes one behind the other leave what the first of them has; `left` numbers the rows of unequal ones.
        """
        if anew or what != self.latest:
            key = 0 if anew else self.left, what
            self.left = self.numbers.setdefault(key, len(self.numbers) + 1)
        self.latest = what

    def again(self, state: Hashable) -> bool:
        """Whether the next state is one that was there before."""
        state = self.left, state
        if state == self.kept:
            return True
        self.seen += 1
        if self.seen == self.until:
            self.kept, self.until = state, 2 * self.until
        return False
