"""Token and confidence of one position."""

from dataclasses import dataclass, field

from torch import Tensor

from golden.units.softmax import SoftmaxNumerator

__all__ = ["Argmax"]


@dataclass(frozen=True)
class Argmax:
    """token = lowest index of the largest logit; spread S = sum_j e^(l_j - l_max), 16 fraction bits.

    The token's probability is 65536 / S: a smaller spread is a more confident position.
    """

    numerator: SoftmaxNumerator = field(default=SoftmaxNumerator(), repr=False)

    def compute(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """[..., vocabulary], int64 or float64, to (token, spread), int64 [...]."""
        top = logits.amax(-1, keepdim=True)
        token = (logits == top).int().argmax(-1)
        return token, self.numerator.compute(logits).sum(-1).long()
