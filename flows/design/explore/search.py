"""The design space: for every throughput the arrays of least area or energy, as `hardloom generate` writes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cycles.geometry import ArrayPace
from hardloom.flows.design.estimate.adapters import adapter_price
from hardloom.flows.design.estimate.area import areas, emitted_bits, storage_bits
from hardloom.flows.design.estimate.arrays import PRICED_STYLES, ArrayOption, addressed, metal_only, options, unit_cost
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.choices import busy
from hardloom.flows.design.estimate.emitted import PassKind, Steps, emitted_packet, emitted_steps, pass_kinds
from hardloom.flows.design.estimate.energy import packet_fj
from hardloom.flows.design.estimate.units import unit_gates
from hardloom.flows.design.estimate.wires import gates_scale, unit_um2
from hardloom.flows.design.estimate.workload import Workload
from hardloom.flows.design.explore.attention import AttentionLanes, attention_lanes
from hardloom.flows.design.explore.plans import Candidate, Plan, dominates
from hardloom.flows.design.explore.points import Point, measure
from hardloom.gen.design.lanes import most_lanes
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MatrixKind, ModelShape

__all__ = ["OBJECTIVES", "Space"]

OBJECTIVES = ("area", "energy")
MOST_LANES = 64
HURRIES = (1, 1.5, 2, 3, 4)
"""How many times quicker than what serves every token the experts of an emitted chip may be."""
REMEDIES = {"head": " (see --head-tiles: a head that drains in parts)"}


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

    def metal_only(self) -> "Space | None":
        """The same with those of its styles alone that keep metal-only respins; None where there are none."""
        styles = tuple(style for style in self.styles if metal_only(style))
        return replace(self, styles=styles, known={}) if styles else None

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

    def emitted(self, plan: Plan) -> Steps:
        """Denoising steps on the emitted chip of a plan."""
        tiles = self.units.head_tiles
        paces = {}
        for kind in self.shape.kinds():
            chosen = plan.chosen[kind.kind]
            packet = emitted_packet(kind, chosen.cycles / busy(kind, self.a), self.tile_rows, plan.lanes, tiles)
            paces[kind.kind] = ArrayPace(packet, addressed(chosen.option.style))
        return emitted_steps(self.shape, plan.lanes, paces, self.work, self.a, self.at_once(plan.attention))

    def at_once(self, attention: AttentionLanes) -> AtOnce:
        """Of the emitted chip with so much attention at once."""
        return replace(self.units, head_lanes=attention.head_lanes, query_lanes=attention.query_lanes)

    def candidates(self, kind: MatrixKind, lanes: int) -> list[Candidate]:
        """Every option for a kind of array that no other dominates in cycles, area and energy; kept."""
        if (kind.kind, lanes) not in self.known:
            found = [self.candidate(kind, option, lanes) for option in options(self.model, kind, lanes, self.styles)]
            self.known[kind.kind, lanes] = [c for c in found if not any(dominates(other, c) for other in found)]
        return self.known[kind.kind, lanes]

    def candidate(self, kind: MatrixKind, option: ArrayOption, lanes: int) -> Candidate:
        """What an option costs."""
        cost = unit_cost(self.model, kind, option, lanes, self.tile_rows)
        shells = self.units.head_tiles if kind.kind == "head" and self.why_projected is None else 1
        count = kind.count * kind.layers
        gates = cost.gates_with(shells) * gates_scale(option.style, self.a) * count
        mm2 = unit_um2(option, cost, shells, self.a) * count * 1e-6
        energy = packet_fj(cost, self.a) * count * kind.share
        return Candidate(option, gates, mm2, energy, cost.packet_cycles * busy(kind, self.a))

    def attentions(self, budget: float) -> set[AttentionLanes]:
        """That keep up with arrays of so many cycles a position; and, where a layer's experts take tokens only as they
        leave its attention, those that are as quick as all heads at once."""
        budgets = {budget} if self.why_projected else {budget, min(budget, self.work.length)}
        return {attention_lanes(self.shape.layers[0].attention, self.work, each) for each in budgets}

    def plan(self, lanes: int, budget: float, hurry: float, attention: AttentionLanes, objective: str) -> Plan | None:
        """The best arrays that all need at most `budget` cycles a position, those of experts `hurry` times fewer; None
        where one cannot.

        In a chip that works on few sequences the head waits while layers work: it has as long as those that take turns.
        Of an emitted chip it meets the wanted positions alone.
        """
        chosen = dict[str, Candidate]()
        turns = max(1, len(self.shape.layers) // self.units.sequences)  # layers of which one works at a time
        alone = turns if self.why_projected is None else 1
        leakage = self.a["leakage_nw_per_gate"] * 1e6 * alone * max(budget, attention.cycles) / self.busy_clock
        for kind in self.shape.kinds():
            allowed = budget * (alone // kind.layers if kind.layers < alone else 1) / self.met(kind.kind)
            allowed /= hurry if kind.share < 1 else 1
            quick = [c for c in self.candidates(kind, lanes) if c.cycles <= allowed]
            if not quick:
                return None
            chosen[kind.kind] = min(quick, key=lambda c: (c.measure(objective, leakage), c.mm2, c.option.style))
        return Plan(lanes, chosen, attention)

    @property
    def busy_clock(self) -> float:
        """Cycles a second in which the busiest unit of a projected chip works."""
        return self.a["clock_ghz"] * 1e9 * self.a["busy_share"]

    def projected(self, plan: Plan) -> float:
        """Tokens/s of a plan whose pipeline is full."""
        return self.busy_clock / max(self.cycles(plan).values()) / self.work.positions_per_token

    def limit(self, plan: Plan) -> float:
        """Tokens/s that a plan's slowest array allows, whatever stands around it: experts are at best met alike."""
        if self.why_projected is not None:
            return self.projected(plan)
        even = {kind.kind: kind.share / busy(kind, self.a) for kind in self.shape.kinds()}
        slowest = max(c.cycles * even[kind] * self.met(kind) for kind, c in plan.chosen.items())
        return self.a["clock_ghz"] * 1e9 / slowest / self.positions * self.work.tokens_per_forward

    def cycles(self, plan: Plan) -> dict[str, float]:
        """What a position costs each unit."""
        cycles = {kind: c.cycles * self.met(kind) for kind, c in plan.chosen.items()}
        return {"attention": plan.attention.cycles} | cycles

    def rated(self, plan: Plan, emitted: float | None, speed: float) -> Point:
        """A plan at so many tokens/s."""
        a, gates = self.a, {kind: c.gates for kind, c in plan.chosen.items()}
        leaked = sum(gates.values()) * a["leakage_nw_per_gate"] * 1e6 / speed / self.work.positions_per_token
        macs = 2 * self.shape.layers[0].attention.head_dim * plan.attention.pairs
        bits = storage_bits(self.shape, self.work, a)
        pace: float | None = max(self.cycles(plan).values())
        if self.why_projected is None:
            bits, pace = emitted_bits(self.shape, self.work, self.at_once(plan.attention), a), None
        adapters = adapter_price(self.shape, self.units.adapter_rank, pace, plan.lanes, a)
        arrays_fj = sum(c.energy_fj for c in plan.chosen.values()) + leaked
        return Point(
            plan.lanes,
            {kind: c.option for kind, c in plan.chosen.items()},
            plan.attention,
            self.cycles(plan),
            gates,
            areas(
                self.shape,
                {kind: c.mm2 for kind, c in plan.chosen.items()},
                macs,
                bits,
                unit_gates(self.shape, plan.lanes, self.units, a),
                a,
                adapters.mm2 if adapters else 0.0,
            ),
            (arrays_fj + (adapters.fj if adapters else 0.0)) * self.work.positions_per_token / 1000,
            speed,
            emitted,
            self.projected(plan),
        )

    def point(self, plan: Plan) -> Point:
        """A plan, its cycles followed."""
        emitted = None
        if self.not_emitted is None:
            steps = self.emitted(plan)
            emitted = self.a["clock_ghz"] * 1e9 / steps.cycles * self.work.tokens_per_forward
        speed = emitted if emitted is not None and self.why_projected is None else self.projected(plan)
        return self.rated(plan, emitted, speed)

    @cached_property
    def kinds_of_passes(self) -> list[PassKind]:
        block = self.shape.layers[0].attention.block_length
        return pass_kinds(self.work, self.a["block_length"], block, self.units.cache)

    @cached_property
    def positions(self) -> float:
        """That a step of an emitted chip computes."""
        return sum(kind.share * len(kind.positions) for kind in self.kinds_of_passes)

    def met(self, kind: str) -> float:
        """Share of the positions that an array of a kind meets."""
        if kind != "head" or self.why_projected is not None:
            return 1.0
        return sum(kind.share * len(kind.wanted) for kind in self.kinds_of_passes) / self.positions

    def plans(self, objective: str) -> Iterator[Plan]:
        """One for every number of lanes, every cycle count that some array can have, attention that suits it, and
        experts as quick as that or, in an emitted chip, where they hold each other up, quicker."""
        for lanes in self.lanes():
            budgets = {c.cycles for kind in self.shape.kinds() for c in self.candidates(kind, lanes)}
            for budget, hurry in product(sorted(budgets), (1,) if self.why_projected else HURRIES):
                for attention in sorted(self.attentions(budget), key=lambda found: found.pairs):
                    if found := self.plan(lanes, budget, hurry, attention, objective):
                        yield found

    def points(self, objective: str) -> Iterator[Point]:
        """The points of all plans, but for those that another one's area (or energy) and throughput make pointless:
        no more than their own at best."""
        hopes = []
        for plan in {plan.key: plan for plan in self.plans(objective)}.values():
            limit = self.limit(plan)
            hopes.append((measure(self.rated(plan, None, limit), objective), limit, plan))
        found = list[Point]()
        for least, limit, plan in sorted(hopes, key=lambda hope: (hope[0], -hope[1])):
            if not any(point.tokens_per_s >= limit and measure(point, objective) <= least for point in found):
                found.append(self.point(plan))
                yield found[-1]

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
