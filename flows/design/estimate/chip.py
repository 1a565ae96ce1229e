"""Our chip: a macro-pipeline of layer engines. Which arrays, how big, how fast, how much power."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import ceil, gcd

from flows.design.cost.shapes import ArrayShape
from flows.design.estimate.arrays import ArrayOption, UnitCost, default_model, options, tile_shape, unit_cost
from flows.design.estimate.assumptions import Assumptions
from flows.design.estimate.energy import packet_fj
from flows.design.estimate.workload import Workload
from golden.shape import MatrixKind, ModelShape

__all__ = ["Chip", "Choice", "choose", "design_chip", "option_shapes"]

GATE_UM2_5NM = 0.0289  # the node of what is scaled from 5 nm, as in `data/nodes.toml`
LANES = 64  # elements a beat of every stream
TILE_ROWS = 1024  # rows that drain through one set of lanes; a wider array is several tiles side by side


@dataclass(frozen=True)
class Choice:
    """A kind of matrix, the array option it takes, what a unit costs, and the cycles a position costs the busiest."""

    kind: MatrixKind
    option: ArrayOption
    cost: UnitCost
    cycles_per_position: float

    @property
    def gates_per_weight(self) -> float:
        """By the cost model."""
        return self.cost.gates / self.kind.weights_each


@dataclass(frozen=True)
class Chip:
    """A design, ours or the paper's.

    choices: array options by kind; cycles_per_position: of the busiest unit; area_mm2, power_w: by part, over all dies
    of a system; links: between dies; extra_usd: range of what a die carries beside board and package (HBM).
    """

    choices: tuple[Choice, ...]
    cycles_per_position: float
    positions_per_s: float
    tokens_per_s: float
    area_mm2: dict[str, float]
    power_w: dict[str, float]
    dies: int
    links: int = 0
    extra_usd: tuple[float, float] = (0.0, 0.0)

    @property
    def area(self) -> float:
        """mm2 of all dies."""
        return sum(self.area_mm2.values())

    @property
    def power(self) -> float:
        """W of all dies."""
        return sum(self.power_w.values())


def busy(kind: MatrixKind, a: Assumptions) -> float:
    """Share of the tokens that meets the busiest array of a kind."""
    return min(1.0, kind.share * a["expert_imbalance"]) if kind.share < 1 else 1.0


def choose(kinds: Iterable[MatrixKind], budget: float, a: Assumptions, styles: Iterable[str]) -> tuple[Choice, ...]:
    """For every kind the smallest option whose busiest array needs at most `budget` cycles a position.

    Where none is as fast, the fastest.
    """
    made = []
    for kind in kinds:
        share = busy(kind, a)
        found = [Choice(kind, option, cost, cost.packet_cycles * share) for option, cost in priced(kind, tuple(styles))]
        quick = [choice for choice in found if choice.cycles_per_position <= budget]
        made.append(
            min(quick, key=lambda c: gates(c, a))
            if quick
            else min(found, key=lambda c: (c.cycles_per_position, gates(c, a)))
        )
    return tuple(made)


@cache
def priced(kind: MatrixKind, styles: tuple[str, ...]) -> list[tuple[ArrayOption, UnitCost]]:
    """All options for a kind of matrix, and what a unit of each costs."""
    model, lanes = default_model(), gcd(LANES, kind.inputs)
    return [(option, unit_cost(model, kind, option, lanes, TILE_ROWS)) for option in options(kind, lanes, styles)]


def option_shapes(kind: MatrixKind) -> list[ArrayShape]:
    """The arrays whose costs `priced` asks for, in every style."""
    lanes = gcd(LANES, kind.inputs)
    return [tile_shape(kind, option, lanes, TILE_ROWS) for option in options(kind, lanes)]


def gates(choice: Choice, a: Assumptions) -> float:
    """Gates of all arrays of a kind."""
    return choice.cost.gates * choice.kind.count * choice.kind.layers * a[f"{choice.option.style}_gates_scale"]


def array_fj(choice: Choice, a: Assumptions) -> float:
    """fJ of all arrays of a kind that one position meets."""
    return packet_fj(choice.cost, a) * choice.kind.count * choice.kind.layers * choice.kind.share


def attention_macs(shape: ModelShape, work: Workload, cycles: float) -> int:
    """Multipliers of one layer, so that scores and mix of a position take `cycles` at most."""
    return ceil(2 * shape.query_width * work.length / cycles)


def storage_bits(shape: ModelShape, work: Workload, a: Assumptions) -> dict[str, float]:
    """SRAM bits of all layers: keys and values, and what waits for them.

    A whole-sequence pass keeps two sequences a layer (one arrives while one is read), queries and residuals of one.
    With a cache, every layer engine works on a sequence of its own, and each layer keeps keys and values of them all.
    """
    held = 2 if work.positions_per_forward >= work.length else shape.layers
    key_values = held * work.length * 2 * shape.key_value_width * a["key_value_bits"]
    waiting = min(work.length, 2 * work.positions_per_forward)
    queue = waiting * (shape.query_width * a["key_value_bits"] + shape.hidden * a["residual_bits"])
    return {"keys_values": shape.layers * key_values, "queues": shape.layers * queue}


PARTS = {
    "attention arrays": ("qkv", "o"),
    "expert arrays": ("gate_up", "down", "shared_gate_up", "shared_down", "dense_gate_up", "dense_down"),
    "router and head arrays": ("router", "head"),
}
"""Kinds of matrix by part of the chip."""


def areas(
    shape: ModelShape, array_gates: dict[str, float], macs: float, bits: float, lanes: int, a: Assumptions
) -> dict[str, float]:
    """mm2 by part, without what lies between dies.

    array_gates: of all arrays of each kind; macs: multipliers a layer; bits: of SRAM.
    """
    gate_mm2 = a["gate_um2"] / a["utilisation"] * 1e-6
    found = {part: gate_mm2 * sum(array_gates.get(kind, 0.0) for kind in kinds) for part, kinds in PARTS.items()}
    found["embedding"] = gate_mm2 * shape.embedding_weights * a["embedding_gates_per_weight"]
    found["attention"] = gate_mm2 * macs * shape.layers * a["mac_gates"]
    found["other units"] = gate_mm2 * lanes * shape.layers * a["unit_gates_per_lane"]
    found["buffers"] = bits * a["sram_bitcell_um2"] / a["sram_efficiency"] * 1e-6
    share = a["floorplan_overhead"]
    found["overhead"] = sum(found.values()) * share / (1 - share)
    return found


def node_link_mm2(a: Assumptions) -> float:
    """mm2 a die-to-die link: analogue circuits shrink with the square root of the gate."""
    return a["link_mm2"] * (a["gate_um2"] / GATE_UM2_5NM) ** 0.5


def between_dies(area: float, positions_per_s: float, shape: ModelShape, a: Assumptions) -> tuple[int, int]:
    """Dies at the reticle limit, and links: a packet of residuals crosses from die to die for every position."""
    bytes_per_s = positions_per_s * shape.hidden * a["residual_bits"] / 8
    links_each = ceil(bytes_per_s / (a["link_gbyte_per_s"] * 1e9))
    dies = ceil(area / a["reticle_mm2"])
    while dies > 1:
        links = 2 * links_each * (dies - 1)
        needed = ceil((area + links * node_link_mm2(a)) / a["reticle_mm2"])
        if needed <= dies:
            return dies, links
        dies = needed
    return 1, 0


def powers(
    shape: ModelShape,
    work: Workload,
    choices: tuple[Choice, ...],
    positions_per_s: float,
    area: dict[str, float],
    links: int,
    a: Assumptions,
) -> dict[str, float]:
    """W by part at full load."""
    scale = a["energy_scale"] * 1e-15 * positions_per_s
    macs = 2 * shape.query_width * work.length * shape.layers
    key_value_bytes = 2 * shape.key_value_width * work.length * shape.layers / 16  # one read serves 16 queries
    found = {
        "arrays": positions_per_s * 1e-15 * sum(array_fj(choice, a) for choice in choices),
        "attention": scale * macs * a["mac_fj"],
        "buffers": scale * (key_value_bytes + 8 * shape.hidden * shape.layers) * a["sram_fj_per_byte"],
        "interconnect": links * a["link_w"],
    }
    share = a["clock_tree_share"]
    found["clock"] = sum(found.values()) * share / (1 - share)
    gates_placed = sum(area.values()) * 1e6 * a["utilisation"] / a["gate_um2"]
    found["leakage"] = gates_placed * a["leakage_nw_per_gate"] * 1e-9
    return found


def kept(choices: Iterable[Choice], a: Assumptions) -> tuple[Choice, ...]:
    """The same options under other assumptions."""
    return tuple(Choice(c.kind, c.option, c.cost, c.cost.packet_cycles * busy(c.kind, a)) for c in choices)


def design_chip(
    shape: ModelShape, work: Workload, a: Assumptions, tokens_per_s: float, styles: Iterable[str], like: Chip | None
) -> Chip:
    """The smallest chip that generates `tokens_per_s`, or the fastest there is; with the arrays of `like` if given."""
    clock = a["clock_ghz"] * 1e9
    budget = clock * a["busy_share"] / (tokens_per_s * work.positions_per_token)
    choices = choose(shape.kinds(), budget, a, styles) if like is None else kept(like.choices, a)
    cycles = max(choice.cycles_per_position for choice in choices)
    macs = attention_macs(shape, work, cycles)
    positions_per_s = clock * a["busy_share"] / cycles
    array_gates = {choice.kind.kind: gates(choice, a) for choice in choices}
    area = areas(shape, array_gates, macs, sum(storage_bits(shape, work, a).values()), LANES, a)
    dies, links = between_dies(sum(area.values()), positions_per_s, shape, a)
    area["interconnect"] = links * node_link_mm2(a)
    power = powers(shape, work, choices, positions_per_s, area, links, a)
    return Chip(choices, cycles, positions_per_s, positions_per_s / work.positions_per_token, area, power, dies, links)
