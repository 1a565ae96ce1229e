"""In which manner the head's logits become predictions: what a program sets from pass to pass."""

from dataclasses import dataclass

__all__ = ["AMOUNT_FRAC", "Manner"]

AMOUNT_FRAC = 12
"""Fraction bits of a temperature and of guidance, which have 16 bits."""


@dataclass(frozen=True)
class Manner:
    """Of a pass.

    Attributes
    ----------
    suppressed: tokens that are not predicted, and whose logits do not count in the spread.
    temperature: by which noise on the logits is multiplied, in 2^-12; 0: the most probable token is predicted.
    seed, step: which noise, below 2^32; step: passes before this one.
    guidance: s of (s + 1) l - s u, u the logits without the prompt, in 2^-12.
    prompt_length: positions of the prompt.
    """

    suppressed: tuple[int, ...] = ()
    temperature: int = 0
    seed: int = 0
    step: int = 0
    guidance: int = 0
    prompt_length: int = 0
