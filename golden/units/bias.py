"""The bias of a projection behind it."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint

__all__ = ["Bias"]


@dataclass(frozen=True)
class Bias:
    """y = sat(x + bias); biases are words of the same kind as what they are added to."""

    word: FixedPoint = FIXED

    def constants(self, bias: Tensor) -> Tensor:
        """float [elements] to the int64 constants of the hardware; raises as `FixedPoint.constants` does."""
        return self.word.constants(bias, "a bias of a projection")

    def compute(self, x: Tensor, biases: Tensor) -> Tensor:
        """x [..., elements], biases [elements], int64 or float64."""
        return self.word.saturate(x + biases)
