"""The chip as `hardloom generate` writes it, under a workload: passes through one layer after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

from hardloom.flows.design.cycles.experts import Routes
from hardloom.flows.design.cycles.forward import forward_cycles, likely_step, likely_wanted
from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.routes import likely_routes
from hardloom.flows.design.cycles.throughput import slowest_part
from hardloom.flows.design.estimate.assumptions import Assumptions
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.workload import Workload
from hardloom.gen.design.features import check_features
from hardloom.gen.design.lanes import MOST_POSITIONS, check_cache
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ExpertsShape, MatrixKind, ModelShape

__all__ = ["PassKind", "Steps", "drained_rows", "emitted_packet", "emitted_steps", "pass_kinds", "why_not_emitted"]


def why_not_emitted(shape: ModelShape, sampler: str, positions: float = 0) -> str | None:
    """Why `hardloom generate` writes no chip of a model for sequences of so many positions; None where it does."""
    if positions > MOST_POSITIONS:
        return f"`hardloom generate` writes chips of {MOST_POSITIONS:,} positions at most"
    try:
        check_features(shape)
    except UserError as error:
        return f"`hardloom generate` cannot write this model ({error})"
    if sampler == "block":
        refused = [wrong for layer in shape.layers if (wrong := check_cache(layer.attention))]
        return f"`hardloom generate` keeps no keys and values of this model: {refused[0]}" if refused else None
    if sampler != "whole":
        return f"`hardloom generate` writes chips that compute whole sequences or blocks, without the sampler {sampler}"
    return None


def drained_rows(kind: MatrixKind, head_tiles: int) -> int:
    """Rows of an array of a kind, or of a tile of the head, that drain through one set of lanes as emitted."""
    return -(-kind.rows // head_tiles) if kind.kind == "head" else kind.rows


def emitted_packet(kind: MatrixKind, packet_cycles: float, drained: int, lanes: int, head_tiles: int) -> int:
    """Cycles from one packet to the next of an array as emitted, where it takes `packet_cycles` with at most `drained`
    rows behind one set of lanes."""
    rows = drained_rows(kind, head_tiles)
    return round(packet_cycles) + -(-rows // lanes) - -(-min(rows, drained) // lanes)


@dataclass(frozen=True)
class PassKind:
    """Passes of a workload that are alike: `share` of all passes, the positions that one computes, and those of them
    that the head meets."""

    share: float
    positions: range
    wanted: range


@dataclass(frozen=True)
class Steps:
    """Denoising steps of a workload on an emitted chip, in the mean: cycles from one to the next, of whichever of the
    sequences, and positions that one computes."""

    cycles: float
    positions: float


BLOCKS_FOLLOWED = 2
"""Blocks of a sequence that stand for all of them where each has its own passes: in the middle of equal parts of it."""
FEWEST_TOKENS = 384
"""Tokens of passes that are sent one after the other, at least: memories and queues as full as they get, and chance in
whose experts they choose evened out."""


def pass_kinds(work: Workload, block_length: float, attention_block: int | None, cache: bool) -> list[PassKind]:
    """Passes of a run. Where keys and values are kept, by the rule of `golden.samplers.spans`: the first pass of a
    block begins in the block before it, with what that has committed last; the first pass of all has the prompt.

    block_length: of the sampler; attention_block: of attention that goes by blocks.
    """
    length = round(work.length)
    if not cache or attention_block is None:
        return [PassKind(1.0, range(length), likely_wanted(length, block_length, work.tokens_per_forward))]
    block, commits = min(round(block_length), round(work.generated)), work.tokens_per_forward
    prompt = round(work.length - work.generated)
    blocks, steps = max(1, round(work.generated / block)), max(1.0, block / commits)

    def kind(count: float, since: int, end: int) -> PassKind:
        stop = min(-(-end // attention_block) * attention_block, length)
        positions = range(max(0, since) // attention_block * attention_block, stop)
        return PassKind(count / (blocks * steps), positions, likely_wanted(end, block, commits))

    kinds, followed = [kind(1, 0, prompt + block)], min(BLOCKS_FOLLOWED, blocks)
    for number in range(followed):
        start = prompt + blocks * (2 * number + 1) // (2 * followed) * block
        kinds.append(kind((blocks - 1) / followed, start - ceil(block / 2), start + block))
        kinds.append(kind(blocks * (steps - 1) / followed, start, start + block))
    return [kind for kind in kinds if kind.share]


def emitted_steps(
    shape: ModelShape, lanes: int, packets: Mapping[str, int], work: Workload, a: Assumptions, at_once: AtOnce
) -> Steps:
    """What a denoising step costs.

    Of several sequences, each takes as long as alone, until the slowest part of the chip has no pause: a layer, what is
    around them, or the sampler. packets: of one array of each kind, from one packet to the next.
    """
    block, commits = a["block_length"], work.tokens_per_forward
    kinds = tuple(pass_kinds(work, block, shape.layers[0].attention.block_length, at_once.cache))
    chip = shape, shape.gains_behind, lanes, tuple(packets.items())
    alone, slowest = pass_cycles(*chip, a["expert_imbalance"], kinds, at_once)
    own = likely_step(round(block), max(1, round(block / commits)), at_once.sequences)
    cycles = max((alone + own) / at_once.sequences, slowest, own)
    return Steps(cycles, sum(kind.share * len(kind.positions) for kind in kinds))


@cache
def pass_cycles(
    shape: ModelShape,
    gains_behind: bool,
    lanes: int,
    packets: tuple[tuple[str, int], ...],
    imbalance: float,
    kinds: tuple[PassKind, ...],
    at_once: AtOnce,
) -> tuple[float, float]:
    """Of a pass alone, and from one to the next at the slowest part where there are several sequences, else 0; most
    assumptions of an estimate change none of what these depend on."""
    g = Geometry.of(shape, lanes, at_once, dict(packets), gains_behind)
    alone = sum(kind.share * forward_cycles(g, likely_passes(shape, kind, imbalance, 1)[0]) for kind in kinds)
    if at_once.sequences == 1:
        return alone, 0.0
    counts = [max(3, ceil(FEWEST_TOKENS / len(kind.positions))) for kind in kinds]
    several = [likely_passes(shape, kind, imbalance, count) for kind, count in zip(kinds, counts, strict=True)]
    return alone, slowest_part(g, [(kind.share, passes) for kind, passes in zip(kinds, several, strict=True)])


def likely_passes(shape: ModelShape, kind: PassKind, imbalance: float, count: int) -> Sequence[Pass]:
    """So many passes of a kind, each with experts drawn anew; layers that are alike have the same."""
    found = []
    for seed in range(count):
        chosen: dict[object, Routes | None] = {}
        for mlp in dict.fromkeys(layer.mlp for layer in shape.layers):
            chosen[mlp] = None
            if isinstance(mlp, ExpertsShape):
                chosen[mlp] = likely_routes(mlp.num_experts, mlp.top_k, imbalance, len(kind.positions), seed)
        found.append(Pass(kind.positions, kind.wanted, [chosen[layer.mlp] for layer in shape.layers]))
    return found
