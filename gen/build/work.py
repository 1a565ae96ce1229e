"""How much of a build is done: counted in weights, and what has none in weights that take as long."""

from collections.abc import Callable

__all__ = ["CHIP_TEXT", "LAYER_TEXTS", "Progress", "Work"]

Progress = Callable[[int, int], None]
"""Called with the work done and its total."""

LAYER_TEXTS, CHIP_TEXT = 400_000_000, 50_000_000
"""Weights whose arrays take as long as a layer, elaborated for all, or what is around the layers, becomes Verilog."""


class Work:
    """The work of one build; `done` is called after a part is, from one thread at a time."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.finished = progress, total, 0

    def done(self, weights: int) -> None:
        self.finished += weights
        self.progress(self.finished, self.total)
