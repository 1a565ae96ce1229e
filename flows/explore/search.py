"""The design space: for every throughput the arrays of least area or energy, as `hardloom generate` writes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

from flows.estimate.assumptions import Assumptions
from flows.estimate.chip import areas, busy, storage_bits
from flows.estimate.shape import MatrixKind, ModelShape
from flows.estimate.workload import Workload
from flows.explore.fit import CostModel, cell_geometry
from gen.hardware import ARRAY_KINDS
from golden.errors import UserError

__all__ = ["OBJECTIVES", "Point", "Space", "hardware_json", "measure", "pareto"]

OBJECTIVES = ("area", "energy")
PLANES = 8  # bits of an activation
FEWEST_A_SLICE = 8  # inputs of a slice in the tiles that the cost model knows
MOST_LANES = 64


@dataclass(frozen=True)
class Point:
    """One design.

    slices: by kind of array; cycles: a position costs the busiest array of each kind, and `attention`;
    area_mm2: by part; energy_pj: of the arrays, a generated token.
    """

    lanes: int
    slices: dict[str, int]
    cycles: dict[str, float]
    gates: dict[str, float]
    area_mm2: dict[str, float]
    energy_pj: float
    tokens_per_s: float

    @property
    def area(self) -> float:
        return sum(self.area_mm2.values())

    @property
    def bottleneck(self) -> str:
        """What takes the most cycles a position."""
        return max(self.cycles, key=lambda name: self.cycles[name])

    def to_json_dict(self) -> dict[str, Any]:
        return {**vars(self), "area_mm2_total": self.area, "bottleneck": self.bottleneck}


@dataclass(frozen=True)
class Space:
    """What is searched: a model under a workload, at a node, with a cost model.

    keys_per_cycle: keys that a layer's attention takes a cycle; head_tiles: parts of the head that drain side by side.
    The emitted units take one key, and have one part.
    """

    shape: ModelShape
    work: Workload
    a: Assumptions
    model: CostModel
    format: str = "mxfp4"
    keys_per_cycle: int = 1
    head_tiles: int = 1

    def lanes(self) -> list[int]:
        """Powers of two that the streams can have."""
        widest = gcd(self.shape.head_dim // 2, self.shape.intermediate, MOST_LANES)
        return [1 << k for k in range(widest.bit_length()) if widest % (1 << k) == 0]

    def slices(self, kind: MatrixKind) -> list[int]:
        """Powers of two that divide the inputs and leave a slice as many as the cost model has seen."""
        most = kind.inputs // FEWEST_A_SLICE
        return [1 << k for k in range(max(1, most).bit_length()) if kind.inputs % (1 << k) == 0]

    def cycles(self, kind: MatrixKind, slices: int, lanes: int) -> float:
        """Cycles that a position costs the busiest array of a kind: loading, or computing and draining."""
        rows = kind.rows / (self.head_tiles if kind.kind == "head" else 1)
        packet = max(kind.inputs / lanes, PLANES * slices + 1 + rows / lanes)
        return packet * busy(kind, self.a)

    def attention_cycles(self) -> float:
        """Cycles that a position costs the attention of a layer: one key of one head after the other."""
        return self.shape.heads * self.work.length / self.keys_per_cycle

    def gates(self, kind: MatrixKind, slices: int, lanes: int) -> float:
        """Gates of all arrays of a kind."""
        each = self.model.array_ge(kind.rows * kind.banks, kind.inputs, slices, lanes, self.format)
        return each * kind.count * kind.layers

    def energy_fj(self, kind: MatrixKind, slices: int) -> float:
        """fJ of all arrays of a kind that one position meets: counters in every step, merging gates once a plane."""
        a, neurons = self.a, kind.rows * kind.banks
        counting = self.model.counting_ge(kind.inputs, slices, self.format) * PLANES * slices * a["gate_activity"]
        merging = kind.inputs * PLANES / 2
        bits = cell_geometry(kind.inputs, slices, self.format).acc_width
        clocked = bits * PLANES * slices * a["flip_flop_fj"]
        each = neurons * ((counting + merging) * a["gate_toggle_fj"] + clocked)
        return each * kind.count * kind.layers * kind.share * a["energy_scale"]

    def point(self, lanes: int, budget: float, objective: str) -> Point | None:
        """The best design whose arrays all need at most `budget` cycles a position; None where one cannot."""
        slices, gates, cycles, energy = {}, {}, {"attention": self.attention_cycles()}, 0.0
        for kind in self.shape.kinds():
            quick = [s for s in self.slices(kind) if self.cycles(kind, s, lanes) <= budget]
            if not quick:
                return None
            cost = self.energy_fj if objective == "energy" else lambda k, s: self.gates(k, s, lanes)
            best = min(quick, key=lambda s: (cost(kind, s), s))
            slices[kind.kind], cycles[kind.kind] = best, self.cycles(kind, best, lanes)
            gates[kind.kind] = self.gates(kind, best, lanes)
            energy += self.energy_fj(kind, best)
        positions_per_s = self.a["clock_ghz"] * 1e9 * self.a["busy_share"] / max(cycles.values())
        macs = 2 * self.shape.head_dim * self.keys_per_cycle
        bits = sum(storage_bits(self.shape, self.work, self.a).values())
        return Point(
            lanes,
            slices,
            cycles,
            gates,
            areas(self.shape, gates, macs, bits, lanes, self.a),
            energy * self.work.positions_per_token / 1000,
            positions_per_s / self.work.positions_per_token,
        )

    def points(self, objective: str) -> Iterator[Point]:
        """One for every number of lanes and every cycle count that some array can have."""
        for lanes in self.lanes():
            budgets = {self.cycles(kind, s, lanes) for kind in self.shape.kinds() for s in self.slices(kind)}
            for budget in sorted(budgets):
                found = self.point(lanes, budget, objective)
                if found is not None:
                    yield found

    def best(self, tokens_per_s: float, objective: str) -> Point:
        """The least area or energy that reaches a throughput; `UserError` with the nearest point where none does."""
        found = list(self.points(objective))
        enough = [point for point in found if point.tokens_per_s >= tokens_per_s]
        if enough:
            return min(enough, key=lambda p: (measure(p, objective), p.area, p.lanes))
        top = max(point.tokens_per_s for point in found)
        nearest = min((p for p in found if p.tokens_per_s >= top * (1 - 1e-9)), key=lambda p: p.area)
        raise UserError(
            f"--tokens-per-second {tokens_per_s:g}: out of reach of {self.shape.name}; the nearest point has "
            f"{nearest.tokens_per_s:,.0f} tokens/s on {nearest.area:,.4g} mm2, where {nearest.bottleneck} takes "
            f"{nearest.cycles[nearest.bottleneck]:,.0f} cycles a position"
        )


def measure(point: Point, objective: str) -> float:
    return point.energy_pj if objective == "energy" else point.area


def pareto(points: list[Point], objective: str) -> list[Point]:
    """Those that no other beats in throughput and area (or energy), the slowest first."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.tokens_per_s, measure(p, objective), p.area, p.lanes)):
        if not front or measure(point, objective) < measure(front[-1], objective):
            front.append(point)
    return front[::-1]


def hardware_json(point: Point, max_positions: int) -> dict[str, Any]:
    """The fields of `gen.hardware.HardwareConfig`."""
    slices = {kind: point.slices[kind] for kind in ARRAY_KINDS}
    return {
        "lanes": point.lanes,
        "max_positions": max_positions,
        "style": dict.fromkeys(ARRAY_KINDS, "metal"),
        "slices": slices,
    }
