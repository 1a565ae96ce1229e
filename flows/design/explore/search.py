"""The design space: for every throughput the arrays of least area or energy, as `hardloom generate` writes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from flows.design.cost.model import CostModel
from flows.design.cycles.forward import likely_wanted
from flows.design.estimate.area import areas, emitted_bits, storage_bits
from flows.design.estimate.arrays import PRICED_STYLES, ArrayOption, options, unit_cost
from flows.design.estimate.assumptions import Assumptions
from flows.design.estimate.at_once import AtOnce
from flows.design.estimate.choices import busiest, busy
from flows.design.estimate.emitted import emitted_pass
from flows.design.estimate.energy import packet_fj
from flows.design.estimate.workload import Workload
from flows.design.explore.attention import AttentionLanes, attention_lanes
from gen.design.hardware import DEFAULT_SLICES, HardwareConfig
from gen.design.lanes import most_lanes
from golden.errors import UserError
from golden.shape import MatrixKind, ModelShape

__all__ = ["OBJECTIVES", "Point", "Space", "hardware_json", "measure", "pareto"]

OBJECTIVES = ("area", "energy")
MOST_LANES = 64
REMEDIES = {"head": " (see --head-tiles: a head that drains in parts)"}


@dataclass(frozen=True)
class Point:
    """One design.

    options: style and slices by kind of array; attention: heads and queries at once; gates: of all arrays of a kind;
    cycles: a position costs the busiest array of each kind, and `attention`; area_mm2: by part; energy_pj: of the
    arrays, leakage included, a generated token. emitted, projected: tokens/s with these arrays of the chip that
    `hardloom generate` writes, of the space's sequences, None where it writes none, and of one whose pipeline is full;
    tokens_per_s: the one of them that is searched for.
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


@dataclass(frozen=True)
class Candidate:
    """One way to build the arrays of a kind: gates and fJ a position of all of them, cycles of the busiest."""

    option: ArrayOption
    gates: float
    energy_fj: float
    cycles: float

    def measure(self, objective: str, leakage_fj: float = 0.0) -> float:
        """Gates, or fJ where a gate leaks `leakage_fj` while a position passes."""
        return self.energy_fj + self.gates * leakage_fj if objective == "energy" else self.gates


@dataclass(frozen=True)
class Space:
    """What is searched: a model under a workload, at a node, with a cost model.

    styles: to choose from; units: how much the chip does at once, but for attention, which is chosen. No array drains
    more rows at once than a tile of the head, where emitted ones drain all of theirs. not_emitted: why `hardloom
    generate` writes no chip of this model under this workload, None where it does.
    """

    shape: ModelShape
    work: Workload
    a: Assumptions
    model: CostModel
    styles: tuple[str, ...] = PRICED_STYLES
    units: AtOnce = field(default_factory=AtOnce)
    not_emitted: str | None = None
    known: dict[tuple[str, int], list[Candidate]] = field(default_factory=dict, compare=False)

    def lanes(self) -> list[int]:
        """Powers of two that the streams can have."""
        widest = most_lanes(self.shape, MOST_LANES)
        return [1 << k for k in range(widest.bit_length()) if widest % (1 << k) == 0]

    @property
    def tile_rows(self) -> int:
        """Rows of an array that drain through one set of lanes, at most."""
        return -(-self.shape.vocab_size // self.units.head_tiles)

    @property
    def why_projected(self) -> str | None:
        """Why what is searched for is no chip that `hardloom generate` writes; None where it is one."""
        wide = [kind.kind for kind in self.shape.kinds() if kind.kind != "head" and kind.rows > self.tile_rows]
        if wide:
            return f"--head-tiles {self.units.head_tiles}: `hardloom generate` writes no {wide[0]} that drains in parts"
        return self.not_emitted

    def emitted_cycles(self, lanes: int, chosen: dict[str, Candidate], attention: AttentionLanes) -> float:
        """Cycles from a pass to the next on the emitted chip with these arrays and so much attention at once."""
        kinds = {kind.kind: kind for kind in self.shape.kinds()}
        packets = {}
        for name, kind in kinds.items():
            undrained = 0 if name == "head" else max(0, kind.rows - self.tile_rows)
            packets[name] = round(chosen[name].cycles / busy(kind, self.a)) + -(-undrained // lanes)
        share = busiest(self.shape, self.a)
        return emitted_pass(self.shape, lanes, packets, self.work, share, self.a, self.at_once(attention))

    def at_once(self, attention: AttentionLanes) -> AtOnce:
        """Of the emitted chip with so much attention at once."""
        return replace(self.units, head_lanes=attention.head_lanes, query_lanes=attention.query_lanes)

    def candidates(self, kind: MatrixKind, lanes: int) -> list[Candidate]:
        """Every option for a kind of array that no other dominates in cycles, gates and energy; kept."""
        if (kind.kind, lanes) not in self.known:
            found = [self.candidate(kind, option, lanes) for option in options(self.model, kind, lanes, self.styles)]
            self.known[kind.kind, lanes] = [c for c in found if not any(dominates(other, c) for other in found)]
        return self.known[kind.kind, lanes]

    def candidate(self, kind: MatrixKind, option: ArrayOption, lanes: int) -> Candidate:
        """What an option costs."""
        cost = unit_cost(self.model, kind, option, lanes, self.tile_rows)
        gates = cost.gates * self.a[f"{option.style}_gates_scale"] * kind.count * kind.layers
        energy = packet_fj(cost, self.a) * kind.count * kind.layers * kind.share
        return Candidate(option, gates, energy, cost.packet_cycles * busy(kind, self.a))

    def attentions(self, budget: float) -> set[AttentionLanes]:
        """That keep up with arrays of so many cycles a position; and, where a layer's experts take tokens only as they
        leave its attention, those that are as quick as all heads at once."""
        budgets = {budget} if self.why_projected else {budget, min(budget, self.work.length)}
        return {attention_lanes(self.shape.layers[0].attention, self.work, each) for each in budgets}

    def point(self, lanes: int, budget: float, attention: AttentionLanes, objective: str) -> Point | None:
        """The best design whose arrays all need at most `budget` cycles a position; None where one cannot.

        In a chip that works on few sequences the head waits while layers work: it has as long as those that take turns.
        Of an emitted chip it meets the wanted positions alone.
        """
        a, chosen = self.a, dict[str, Candidate]()
        clock = a["clock_ghz"] * 1e9 * a["busy_share"]
        turns = max(1, len(self.shape.layers) // self.units.sequences)  # layers of which one works at a time
        alone = turns if self.why_projected is None else 1
        leakage = a["leakage_nw_per_gate"] * 1e6 * alone * max(budget, attention.cycles) / clock
        for kind in self.shape.kinds():
            allowed = budget * (alone // kind.layers if kind.layers < alone else 1) / self.met(kind.kind)
            quick = [c for c in self.candidates(kind, lanes) if c.cycles <= allowed]
            if not quick:
                return None
            chosen[kind.kind] = min(quick, key=lambda c: (c.measure(objective, leakage), c.gates, c.option.style))
        cycles = {"attention": attention.cycles} | {kind: c.cycles * self.met(kind) for kind, c in chosen.items()}
        gates = {kind: c.gates for kind, c in chosen.items()}
        projected = clock / max(cycles.values()) / self.work.positions_per_token
        emitted = None
        if self.not_emitted is None:
            passes = a["clock_ghz"] * 1e9 / self.emitted_cycles(lanes, chosen, attention)
            emitted = passes * self.work.tokens_per_forward
        speed = emitted if emitted is not None and self.why_projected is None else projected
        leaked = sum(gates.values()) * a["leakage_nw_per_gate"] * 1e6 / speed / self.work.positions_per_token
        macs = 2 * self.shape.layers[0].attention.head_dim * attention.pairs
        bits = storage_bits(self.shape, self.work, a)
        if self.why_projected is None:
            bits = emitted_bits(self.shape, self.work, self.at_once(attention), a)
        return Point(
            lanes,
            {kind: c.option for kind, c in chosen.items()},
            attention,
            cycles,
            gates,
            areas(self.shape, gates, macs, bits, lanes, a, self.units.expert_groups),
            (sum(c.energy_fj for c in chosen.values()) + leaked) * self.work.positions_per_token / 1000,
            speed,
            emitted,
            projected,
        )

    def met(self, kind: str) -> float:
        """Share of the positions that an array of a kind meets."""
        if kind != "head" or self.why_projected is not None:
            return 1.0
        positions, commits = round(self.work.length), self.work.tokens_per_forward
        return len(likely_wanted(positions, self.a["block_length"], commits)) / positions

    def points(self, objective: str) -> Iterator[Point]:
        """One for every number of lanes, every cycle count that some array can have, and attention that suits it."""
        for lanes in self.lanes():
            budgets = {c.cycles for kind in self.shape.kinds() for c in self.candidates(kind, lanes)}
            for budget in sorted(budgets):
                for attention in sorted(self.attentions(budget), key=lambda found: found.pairs):
                    if found := self.point(lanes, budget, attention, objective):
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
            f"{nearest.cycles[nearest.bottleneck]:,.0f} cycles a position{REMEDIES.get(nearest.bottleneck, '')}"
        )


def dominates(other: Candidate, one: Candidate) -> bool:
    """Whether `other` is as good as `one` in everything and better in something."""
    figures = [(other.gates, one.gates), (other.energy_fj, one.energy_fj), (other.cycles, one.cycles)]
    return all(o <= c for o, c in figures) and any(o < c for o, c in figures)


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
        head_tiles=units.head_tiles,
        routers=units.routers,
        queues=units.queues,
    ).to_json_dict()
