"""What can be chosen of a design: an option for each kind of array, and attention."""

from dataclasses import dataclass
from typing import Any

from hardloom.flows.design.estimate.arrays import ArrayOption
from hardloom.flows.design.explore.attention import AttentionLanes

__all__ = ["Candidate", "Plan", "dominates"]


@dataclass(frozen=True)
class Candidate:
    """One way to build the arrays of a kind: gates, mm2 and fJ a position of all of them, cycles of the busiest."""

    option: ArrayOption
    gates: float
    mm2: float
    energy_fj: float
    cycles: float

    def measure(self, objective: str, leakage_fj: float = 0.0) -> float:
        """mm2, or fJ where a gate leaks `leakage_fj` while a position passes."""
        return self.energy_fj + self.gates * leakage_fj if objective == "energy" else self.mm2


@dataclass(frozen=True)
class Plan:
    """What is chosen of a design: arrays by kind, and attention."""

    lanes: int
    chosen: dict[str, Candidate]
    attention: AttentionLanes

    @property
    def key(self) -> tuple[Any, ...]:
        """The same for plans that are the same."""
        return self.lanes, self.attention, *(candidate.option for candidate in self.chosen.values())


def dominates(other: Candidate, one: Candidate) -> bool:
    """Whether `other` is as good as `one` in everything and better in something."""
    figures = [(other.mm2, one.mm2), (other.energy_fj, one.energy_fj), (other.cycles, one.cycles)]
    return all(o <= c for o, c in figures) and any(o < c for o, c in figures)
