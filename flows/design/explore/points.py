"""Designs that the search has weighed: their figures, the front of them, and the hardware file of one."""

from dataclasses import dataclass
from typing import Any

from hardloom.flows.design.estimate.arrays import ArrayOption
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.explore.attention import AttentionLanes
from hardloom.gen.design.hardware import DEFAULT_SLICES, HardwareConfig

__all__ = ["Point", "hardware_json", "measure", "pareto"]


@dataclass(frozen=True)
class Point:
    """One design.

    options: style and slices by kind of array; attention: heads and queries at once; gates: of all arrays of a kind;
    cycles: a position costs the busiest array of each kind, and `attention`; area_mm2: by part; energy_pj: of the
    arrays, leakage included, and of adapters, a generated token. emitted, projected: tokens/s with these arrays of the
    chip that `hardloom generate` writes, of the space's sequences, None where it writes none, and of one whose pipeline
    is full; tokens_per_s: the one of them that is searched for.
    """

    lanes: int
    options: dict[str, ArrayOption]
    attention: AttentionLanes
    cycles: dict[str, float]
    gates: dict[str, float]
    area_mm2: dict[str, float]
    energy_pj: float
    tokens_per_s: float
    emitted: float | None
    projected: float

    @property
    def area(self) -> float:
        return sum(self.area_mm2.values())

    @property
    def bottleneck(self) -> str:
        """What takes the most cycles a position."""
        return max(self.cycles, key=lambda name: self.cycles[name])

    def to_json_dict(self) -> dict[str, Any]:
        chosen = {kind: vars(option) for kind, option in self.options.items()}
        lanes = {"head_lanes": self.attention.head_lanes, "query_lanes": self.attention.query_lanes}
        changed = {"options": chosen, "attention": lanes}
        return {**vars(self), **changed, "area_mm2_total": self.area, "bottleneck": self.bottleneck}


def measure(point: Point, objective: str) -> float:
    return point.energy_pj if objective == "energy" else point.area


def pareto(points: list[Point], objective: str) -> list[Point]:
    """Those that no other dominates in throughput and area (or energy), the slowest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.tokens_per_s, measure(p, objective), p.area, p.lanes)):
        if not front or measure(point, objective) < measure(front[-1], objective):
            front.append(point)
    return front[::-1]


def hardware_json(point: Point, max_positions: int, units: AtOnce) -> dict[str, Any]:
    """The fields of `gen.design.hardware.HardwareConfig`."""
    return HardwareConfig(
        lanes=point.lanes,
        max_positions=max_positions,
        style=dict.fromkeys(DEFAULT_SLICES, "metal") | {kind: option.style for kind, option in point.options.items()},
        slices=DEFAULT_SLICES | {kind: option.slices for kind, option in point.options.items()},
        head_lanes=point.attention.head_lanes,
        query_lanes=point.attention.query_lanes,
        expert_groups=units.expert_groups,
        sequences=units.sequences,
        cache=units.cache,
        head_tiles=units.head_tiles,
        routers=units.routers,
        queues=units.queues,
        temperature=units.temperature,
        adapter_rank=units.adapter_rank,
    ).to_json_dict()
