"""Our chip: a macro-pipeline of layer engines. Which arrays, how big, how fast, how much power."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cycles.geometry import ArrayPace
from hardloom.flows.design.estimate.adapters import AdapterPrice, adapter_price
from hardloom.flows.design.estimate.area import areas, between_dies, emitted_bits, node_link_mm2, storage_bits
from hardloom.flows.design.estimate.arrays import addressed
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.choices import LANES, TILE_ROWS, Choice, array_mm2, choose, same_arrays
from hardloom.flows.design.estimate.emitted import drained_rows, emitted_packet, emitted_steps
from hardloom.flows.design.estimate.energy import packet_fj, queued_fj
from hardloom.flows.design.estimate.units import unit_gates
from hardloom.flows.design.estimate.workload import Workload
from hardloom.gen.design.lanes import most_lanes
from hardloom.golden.shape import ModelShape

__all__ = ["Chip", "design_chip", "emitted_chip"]


@dataclass(frozen=True)
class Chip:
    """A design, ours or the paper's.

    choices: array options by kind; cycles_per_position: of the busiest unit, or all those of a pass as emitted, by
    positions; area_mm2, power_w: by part, over all dies
    of a system; links: between dies; extra_usd: range of what a die carries beside board and package (HBM); adapters:
    LoRA adapters, None where there are none.
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
    adapters: AdapterPrice | None = None

    @property
    def area(self) -> float:
        """mm2 of all dies."""
        return sum(self.area_mm2.values())

    @property
    def power(self) -> float:
        """W of all dies."""
        return sum(self.power_w.values())


def array_fj(choice: Choice, a: Assumptions) -> float:
    """fJ of all arrays of a kind that one position meets."""
    return packet_fj(choice.cost, a) * choice.kind.count * choice.kind.layers * choice.kind.share


def attention_macs(shape: ModelShape, work: Workload, cycles: float) -> int:
    """Multipliers of one layer, so that scores and mix of a position take `cycles` at most."""
    return ceil(2 * shape.layers[0].attention.query_width * work.length / cycles)


def powers(
    shape: ModelShape,
    work: Workload,
    choices: tuple[Choice, ...],
    positions_per_s: float,
    area: dict[str, float],
    links: int,
    a: Assumptions,
    adapters: AdapterPrice | None,
    queued: float = 0.0,
) -> dict[str, float]:
    """W by part at full load. queued: fJ of a position in queues around arrays of experts."""
    attention, layers = shape.layers[0].attention, len(shape.layers)
    scale = a["energy_scale"] * 1e-15 * positions_per_s
    macs = 2 * attention.query_width * work.length * layers
    key_value_bytes = 2 * attention.key_value_width * work.length * layers / 16  # one read serves 16 queries
    found = {
        "arrays": positions_per_s * 1e-15 * sum(array_fj(choice, a) for choice in choices),
        "attention": scale * macs * a["mac_fj"],
        "buffers": scale * (key_value_bytes + 8 * shape.hidden_size * layers) * a["sram_fj_per_byte"]
        + positions_per_s * 1e-15 * queued,
        "interconnect": links * a["link_w"],
    }
    if adapters:
        found["adapters"] = positions_per_s * 1e-15 * adapters.fj
    share = a["clock_tree_share"]
    found["clock"] = sum(found.values()) * share / (1 - share)
    gates_placed = sum(area.values()) * 1e6 * a["utilisation"] / (a["gate_um2"] * a["unit_library"])
    found["leakage"] = gates_placed * a["leakage_nw_per_gate"] * 1e-9
    return found


def design_chip(
    shape: ModelShape,
    work: Workload,
    a: Assumptions,
    tokens_per_s: float,
    styles: Iterable[str],
    like: Chip | None,
    adapter_rank: int = 0,
) -> Chip:
    """The smallest chip that generates `tokens_per_s`, or the fastest there is; with the arrays of `like` if given."""
    clock = a["clock_ghz"] * 1e9
    budget = clock * a["busy_share"] / (tokens_per_s * work.positions_per_token)
    choices = choose(shape.kinds(), budget, a, styles) if like is None else same_arrays(like.choices, a)
    cycles = max(choice.cycles_per_position for choice in choices)
    macs = attention_macs(shape, work, cycles)
    positions_per_s = clock * a["busy_share"] / cycles
    arrays = {choice.kind.kind: array_mm2(choice, a) for choice in choices}
    units = unit_gates(shape, LANES, AtOnce(head_tiles=ceil(shape.vocab_size / TILE_ROWS)), a)
    adapters = adapter_price(shape, adapter_rank, cycles, LANES, a)
    area = areas(shape, arrays, macs, storage_bits(shape, work, a), units, a, adapters.mm2 if adapters else 0.0)
    dies, links = between_dies(sum(area.values()), positions_per_s, shape, a)
    area["interconnect"] = links * node_link_mm2(a)
    power = powers(shape, work, choices, positions_per_s, area, links, a, adapters)
    tokens = positions_per_s / work.positions_per_token
    return Chip(choices, cycles, positions_per_s, tokens, area, power, dies, links, adapters=adapters)


def emitted_chip(
    shape: ModelShape, work: Workload, a: Assumptions, styles: Iterable[str], at_once: AtOnce, like: Chip | None
) -> Chip:
    """The chip that `hardloom generate` writes with the smallest arrays that do not slow it.

    One set of lanes for all rows of an array, or of a tile of the head. With the arrays of `like` if given.
    """
    attention = shape.layers[0].attention
    lanes, tiles = most_lanes(shape, LANES), at_once.head_tiles
    budget = attention.num_heads * work.length / at_once.pairs
    if like is None:
        choices = choose(shape.kinds(), budget, a, styles, lanes, lambda kind: drained_rows(kind, tiles))
    else:
        choices = same_arrays(like.choices, a)
    paces = {
        c.kind.kind: ArrayPace(
            emitted_packet(c.kind, c.cost.packet_cycles, drained_rows(c.kind, tiles), lanes, tiles),
            addressed(c.option.style),
        )
        for c in choices
    }
    steps = emitted_steps(shape, lanes, paces, work, a, at_once)
    steps_per_s = a["clock_ghz"] * 1e9 / steps.cycles
    positions_per_s = steps_per_s * steps.positions
    bits = emitted_bits(shape, work, at_once, a)
    arrays = {c.kind.kind: array_mm2(c, a, tiles if c.kind.kind == "head" else 1) for c in choices}
    units = unit_gates(shape, lanes, at_once, a)
    adapters = adapter_price(shape, at_once.adapter_rank, None, lanes, a)
    macs = 2 * attention.head_dim * at_once.pairs
    area = areas(shape, arrays, macs, bits, units, a, adapters.mm2 if adapters else 0.0)
    dies, links = between_dies(sum(area.values()), positions_per_s, shape, a)
    area["interconnect"] = links * node_link_mm2(a)
    queued = queued_fj(shape, at_once.queues, a)
    power = powers(shape, work, choices, positions_per_s, area, links, a, adapters, queued)
    tokens_per_s = steps_per_s * work.tokens_per_forward
    each = steps.cycles / steps.positions
    return Chip(choices, each, positions_per_s, tokens_per_s, area, power, dies, links, adapters=adapters)
