"""How a model is trained: everything that decides its weights."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Generator, Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import Arithmetic, FloatModel, Routing
from hardloom.golden.training.fake_quant import FakeQuant
from hardloom.golden.training.problems import Tasks

__all__ = ["Lesson", "Recipe", "TrainingParams"]

Lesson = Callable[[FloatModel, int, Generator], tuple[Tensor, list[Routing]]]
"""The cross entropy of a step's tokens, and how the layers with experts routed them. All that is random comes from the
generator."""


@dataclass(frozen=True)
class TrainingParams:
    """What decides the trained weights besides the model's geometry and its lessons; turns: kinds of steps."""

    seed: int = 0
    steps: int = 4800
    quantized_from: int = 2400
    rows: int = 160
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    weight_format: str = "mxfp4"
    turns: int = 6

    def validate(self) -> None:
        """Raise `UserError` for values that make no sense."""
        for name in ("steps", "rows"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a positive number")
        if not 0 <= self.quantized_from <= self.steps:
            raise UserError(f"quantized_from is {self.quantized_from}; give a step from 0 to steps, {self.steps}")

    def numerics(self, step: int) -> Arithmetic:
        """Exact at first; then two of three steps quantized, one exact so that the float model stays as good.

        A turn of three and the turns of the lessons, shifted against each other, bring every combination about.
        """
        quantized = step >= self.quantized_from and (step + step // self.turns) % 3 > 0
        return FakeQuant(self.weight_format) if quantized else Arithmetic()

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine down to a hundredth."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / (self.steps - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


@dataclass(frozen=True)
class Recipe(ABC):
    """A model, what it is asked for, and its lessons."""

    name: str
    tasks: Tasks
    params: TrainingParams

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The model's `config.json`."""

    @abstractmethod
    def lesson(self, params: TrainingParams) -> Lesson:
        """What each step learns."""

    def run(self, params: TrainingParams) -> dict[str, Any]:
        """What two runs have in common that end with the same weights."""
        return self.config() | asdict(params)
