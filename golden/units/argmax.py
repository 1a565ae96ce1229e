"""Token and confidence of one position."""

from dataclasses import dataclass, field

from torch import Tensor

from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.table import Reciprocal

__all__ = ["Argmax", "first_of_largest"]


NOWHERE = -(1 << 62)
"""Below every sum of a logit and its noise."""


def first_of_largest(x: Tensor) -> Tensor:
    """Of the last axis, int64 [...]."""
    return (x == x.amax(-1, keepdim=True)).int().argmax(-1)


@dataclass(frozen=True)
class Argmax:
    """token = lowest index of the largest logit; spread S = sum_j e^(l_j - l_max), 16 fraction bits.

    The token's probability is 65536 / S: a smaller spread is a more confident position. Logits that are suppressed are
    below all others, and count for nothing in the sum; where all are, S is 0.

    With noise on the logits, the token is that of the largest sum of both, and S = sum_j e^(l_j - l_token), that of the
    logits alone: the sum above times the reciprocal of the token's exponential, of which 1 is the least.
    """

    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)
    reciprocal: Reciprocal = field(default=Reciprocal(), init=False, repr=False)

    def compute(
        self, logits: Tensor, suppressed: Tensor | None = None, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """[..., vocabulary], int64 or float64, to (token, spread), int64 [...].

        suppressed: bool, noise: int64 in the logits' unit, both as `logits`.
        """
        if suppressed is not None:
            logits = logits.masked_fill(suppressed, 2 * self.numerator.word.min)
        exponentials = self.numerator.compute(logits)
        if suppressed is not None:
            exponentials = exponentials.masked_fill(suppressed, 0)
        spread = exponentials.sum(-1).long()
        if noise is None:
            return first_of_largest(logits), spread
        ranked = logits.long() + noise
        token = first_of_largest(ranked if suppressed is None else ranked.masked_fill(suppressed, NOWHERE))
        chosen = exponentials.gather(-1, token[..., None])[..., 0].long()
        r, bits = self.reciprocal.compute(chosen.clamp(min=1))
        return token, round_shift(spread * r, bits - 1)
