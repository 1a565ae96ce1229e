"""Hessians of the matrices of a layer: sums of x x^T over the inputs x that calibration brings them."""

from collections.abc import Collection

import torch
from torch import Tensor

from hardloom.golden.models.float_model import Arithmetic
from hardloom.golden.shape import TensorShape

__all__ = ["FEWEST", "LONGEST", "Hessian", "Hessians"]

LONGEST = 4.0
"""Times the median norm of the tokens that run together: longer ones are scaled to it. One attention sink would
otherwise hold nearly all of the energy of a down projection's inputs."""

PANEL = 384
"""Columns of a Hessian that are summed up together, from the diagonal down."""

FEWEST = 0.25
"""Tokens for each input of a matrix: an expert that fewer reached is rounded to nearest."""

SHARED = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
"""Matrices with the inputs of another: the last part of both names."""

LAST = "down_proj"
"""Of these the inputs are wanted alone: no matrix of the layer meets their products, which are left out."""


class Hessian:
    """Of the matrices that share their inputs, over `tokens` tokens.

    Attributes
    ----------
    lower: float32 [inputs, inputs], summed up where it meets the diagonal and below; above only in part.
    """

    def __init__(self, inputs: int) -> None:
        self.lower = torch.zeros(inputs, inputs)
        self.tokens = 0

    @property
    def total(self) -> Tensor:
        """All of it, float32 [inputs, inputs], symmetric."""
        below = self.lower.tril(-1)
        return self.lower.tril() + below.T

    @property
    def is_enough(self) -> bool:
        return self.tokens >= FEWEST * len(self.lower) and bool(self.lower.any())

    def add(self, x: Tensor) -> None:
        """Inputs float32 [tokens, inputs]."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        x = x * (LONGEST * norm.median() / norm.clamp(min=1e-30)).clamp(max=1)
        for panel in range(0, x.shape[1], PANEL):
            self.lower[panel:, panel : panel + PANEL].addmm_(x[:, panel:].T, x[:, panel : panel + PANEL])
        self.tokens += len(x)


class Hessians(Arithmetic):
    """The float model's arithmetic for one layer, which collects them; what the layer gives is without meaning.

    Parameters
    ----------
    gains: as in `Numerics`: where `folded`, inputs come without the gain, which the matrix takes in.
    matrices: those that run, by the identity of a weight. kept: names of those whose Hessians are wanted.
    """

    def __init__(self, gains: str, matrices: dict[int, TensorShape], kept: Collection[str]) -> None:
        self.gains, self.matrices, self.kept = gains, matrices, kept
        self.found: dict[str, Hessian] = {}

    @staticmethod
    def first(matrix: TensorShape) -> str:
        """Name of the first matrix that has the inputs of `matrix`."""
        last = matrix.kind.split(".")[-1]
        return matrix.name.replace(last, SHARED.get(last, last))

    def linear(self, x: Tensor, weight: Tensor, gain: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        matrix = self.matrices[id(weight)]
        self.add(matrix, x)
        if matrix.kind.endswith(LAST):
            return x.new_zeros(()).expand(*x.shape[:-1], len(weight))
        return super().linear(x, weight, gain, bias)

    def add(self, matrix: TensorShape, x: Tensor) -> None:
        """Inputs [..., inputs] of a matrix; those that share them are counted by the first."""
        if matrix.name in self.kept and self.first(matrix) == matrix.name:
            self.found.setdefault(matrix.name, Hessian(matrix.shape[1])).add(x.flatten(0, -2))
