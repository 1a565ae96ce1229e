"""In which manner the head's logits become predictions: what a program sets from pass to pass."""

from dataclasses import dataclass

__all__ = ["Manner"]


@dataclass(frozen=True)
class Manner:
    """Of a pass.

    suppressed: tokens that are not predicted, and whose logits do not count in the spread.
    """

    suppressed: tuple[int, ...] = ()
