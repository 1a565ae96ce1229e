"""A pass: what goes through a chip from the sampler and back to it, once a denoising step."""

from collections.abc import Sequence
from dataclasses import dataclass

from hardloom.flows.design.cycles.experts import Routes

__all__ = ["Pass"]


@dataclass(frozen=True)
class Pass:
    """A pass of a sequence.

    positions: of the sequence, all or those that it computes; wanted: those of them that the head meets; routes: of
    each layer for these positions, None where it has no experts; own: cycles of the sampler from its last result to the
    next pass; kept: positions behind them whose keys are kept, which they see where all positions do.
    """

    positions: range
    wanted: Sequence[int]
    routes: Sequence[Routes | None]
    own: float = 0.0
    kept: int = 0

    @property
    def met(self) -> list[int]:
        """Those that the head meets, by their place in the pass."""
        return [position - self.positions.start for position in self.wanted]
