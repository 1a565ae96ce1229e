"""What an adapter of low rank adds to a projection: LoRA (arXiv 2106.09685) in integers."""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.units.exact import ExactMatrix, scaled
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.quantize import Quantize

__all__ = ["ADAPTER_FORMAT", "Adapter"]

ADAPTER_FORMAT = "int8"
"""Of the elements of A and of B. The whole of A has one scale, and the whole of B."""


@dataclass(frozen=True)
class Adapter:
    """y'[j] = sat(y[j] + d[j]), where d = sat(round(B p)), p the packet of sat(round(A x)).

    x is the packet that enters the projection, y the projection's output. A [rank, inputs] and B [rows, rank] are
    signed integers of 8 bits times a scale of 8 bits unsigned (128 to 255) and a power of two each. Sums are exact;
    they are rounded half up, once each.

    word: of y, d and of the sums of A. width: bits of p, sign included.
    """

    word: FixedPoint = FIXED
    width: int = 10

    @property
    def quantize(self) -> Quantize:
        """What makes p."""
        return Quantize(self.word, self.width)

    def compute(self, y: Tensor, x: Tensor, a: ExactMatrix, b: ExactMatrix) -> Tensor:
        """y float64 [..., rows], the word's integers, and the values of packets x, float32 [..., inputs], to y'."""
        sums = self.word.nearest_(a.product(x).double())
        p = scaled(*self.quantize.compute(sums), b.weights.dtype)
        return self.word.saturate(y + self.word.nearest_(b.product(p).double()))
