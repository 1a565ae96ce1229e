"""silu(gate) * up."""

from dataclasses import dataclass, field

from torch import Tensor

from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.table import Sigmoid

__all__ = ["SwiGLU"]


@dataclass(frozen=True)
class SwiGLU:
    """y = sat(round(round(g * sigmoid(g)) * u)), elementwise on fixed-point words."""

    word: FixedPoint = FIXED
    sigmoid: Sigmoid = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmoid", Sigmoid(self.word.frac))

    def compute(self, gate: Tensor, up: Tensor) -> Tensor:
        """[..., n], int64 or float64, to the same."""
        silu = round_shift(gate, self.sigmoid.frac, factor=self.sigmoid.compute(gate))
        # beyond int64 where words are wide
        return self.word.round(silu.double(), self.word.frac, factor=up.double()).to(gate.dtype)
