"""Token and confidence of one position."""

from dataclasses import dataclass, field

from torch import Tensor

from golden.units.softmax import SoftmaxNumerator

__all__ = ["Argmax"]


@dataclass(frozen=True)
class Argmax:
    """token = lowest index of the largest logit; spread S = sum_j e^(l_j - l_max), 16 fraction bits.

    The token's probability is 65536 / S: a smaller spread is a more confident position. Logits that are suppressed are
    below all others, and count for nothing in the sum; where all are, S is 0.
    """

    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)

    def compute(self, logits: Tensor, suppressed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[..., vocabulary], int64 or float64, to (token, spread), int64 [...]; suppressed: bool, as `logits`."""
        if suppressed is not None:
            logits = logits.masked_fill(suppressed, 2 * self.numerator.word.min)
        token = (logits == logits.amax(-1, keepdim=True)).int().argmax(-1)
        exponentials = self.numerator.compute(logits)
        if suppressed is not None:
            exponentials = exponentials.masked_fill(suppressed, 0)
        return token, exponentials.sum(-1).long()
