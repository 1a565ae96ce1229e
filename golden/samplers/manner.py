"""In which manner the head's logits become predictions: what a program sets from pass to pass."""

from dataclasses import dataclass

__all__ = ["AMOUNT_FRAC", "NO_CREDIT", "Manner", "Pairs"]

AMOUNT_FRAC = 12
"""Fraction bits of a temperature, of guidance and of credit, which have 16 bits."""

Pairs = tuple[tuple[int, int], ...]
"""Tokens of a position that have credit, and how much, with 16 fraction bits; a credit of 0 is none."""

NO_CREDIT: Pairs = ((0, 0),) * 4
"""So many tokens of a position have credit at most."""


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
    credit: by which ln(1 + credit) of a token is multiplied before it is added to its logit, in 2^-12; 0: no token has
        any, and none gains some.
    credit_decay, credit_power: as `golden.models.credit.Credit` has them, in 2^-12.
    credits: of every position before the pass; none where `credit` is 0.
    """

    suppressed: tuple[int, ...] = ()
    temperature: int = 0
    seed: int = 0
    step: int = 0
    guidance: int = 0
    prompt_length: int = 0
    credit: int = 0
    credit_decay: int = 0
    credit_power: int = 0
    credits: tuple[Pairs, ...] = ()
