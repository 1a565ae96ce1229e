"""The chip as `hardloom generate` writes it, under a workload: passes through one layer after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cycles.experts import Routes
from hardloom.flows.design.cycles.forward import forward_cycles, likely_step, likely_wanted
from hardloom.flows.design.cycles.geometry import ArrayPace, Geometry
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.routes import likely_routes
from hardloom.flows.design.cycles.throughput import slowest_part
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.workload import KEEPING, Workload
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
    if sampler in KEEPING:
        refused = [wrong for layer in shape.layers if (wrong := check_cache(layer.attention))]
        if shape.bidirectional != (sampler == "cached"):
            refused.append(f"{'all' if shape.bidirectional else 'not all'} positions see each other")
        return f"`hardloom generate` keeps no keys and values as {sampler} does: {refused[0]}" if refused else None
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
    """Passes of a workload that are alike: `share` of all passes, the positions that one computes, those of them that
    the head meets, and how many are behind them, kept and seen."""

    share: float
    positions: range
    wanted: range
    kept: int = 0


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
    """Passes of a run. Where keys and values are kept, by the rule of `golden.samplers.spans`.

    block_length: of the sampler; attention_block: of attention that goes by blocks.
    """
    length = round(work.length)
    if not cache:
        return [PassKind(1.0, range(length), likely_wanted(length, block_length, work.tokens_per_forward))]
    block = min(round(block_length), round(work.generated))
    blocks, prompt = max(1, round(work.generated / block)), round(work.length - work.generated)
    followed = min(BLOCKS_FOLLOWED, blocks)
    starts = [prompt + blocks * (2 * number + 1) // (2 * followed) * block for number in range(followed)]
    if attention_block is None:
        return near_kinds(work, block, starts)
    return block_kinds(work, block, starts, blocks, attention_block)


def near_kinds(work: Workload, block: int, starts: Sequence[int]) -> list[PassKind]:
    """The first pass of a block has all positions, the others have the block and its vicinity; of blocks that start
    there."""
    length, reach, steps = round(work.length), round(work.vicinity), max(1.0, block / work.tokens_per_forward)

    def kind(share: float, start: int, positions: range) -> PassKind:
        wanted = likely_wanted(start + block, block, work.tokens_per_forward)
        return PassKind(share, positions, wanted, length - positions.stop)

    kinds = [kind(1 / steps, starts[0], range(length))]
    for start in starts:
        positions = range(max(0, start - reach), min(start + block + reach, length))
        kinds.append(kind((1 - 1 / steps) / len(starts), start, positions))
    return [kind for kind in kinds if kind.share]


def block_kinds(work: Workload, block: int, starts: Sequence[int], blocks: int, attention_block: int) -> list[PassKind]:
    """The first pass of a block begins in the block before it, with what that has committed last; the first pass of all
    has the prompt. Of so many blocks, those that start there are followed."""
    length, prompt, commits = round(work.length), round(work.length - work.generated), work.tokens_per_forward
    steps = max(1.0, block / commits)

    def kind(count: float, since: int, end: int) -> PassKind:
        stop = min(-(-end // attention_block) * attention_block, length)
        positions = range(max(0, since) // attention_block * attention_block, stop)
        return PassKind(count / (blocks * steps), positions, likely_wanted(end, block, commits))

    kinds = [kind(1, 0, prompt + block)]
    for start in starts:
        kinds.append(kind((blocks - 1) / len(starts), start - ceil(block / 2), start + block))
        kinds.append(kind(blocks * (steps - 1) / len(starts), start, start + block))
    return [kind for kind in kinds if kind.share]


def emitted_steps(
    shape: ModelShape,
    lanes: int,
    paces: Mapping[str, ArrayPace],
    work: Workload,
    a: Assumptions,
    at_once: AtOnce,
) -> Steps:
    """What a denoising step costs.

    Of several sequences, each takes as long as alone, until the slowest part of the chip has no pause: a layer, what is
    around them, or the sampler. paces: of one array of each kind.
    """
    block, commits = a["block_length"], work.tokens_per_forward
    kinds = tuple(pass_kinds(work, block, shape.layers[0].attention.block_length, at_once.cache))
    chip = shape, shape.gains_behind, lanes, tuple(paces.items())
    alone, slowest = pass_cycles(*chip, a["expert_imbalance"], kinds, at_once)
    own = likely_step(round(block), max(1, round(block / commits)), at_once.sequences)
    cycles = max((alone + own) / at_once.sequences, slowest, own)
    return Steps(cycles, sum(kind.share * len(kind.positions) for kind in kinds))


@cache
def pass_cycles(
    shape: ModelShape,
    gains_behind: bool,
    lanes: int,
    paces: tuple[tuple[str, ArrayPace], ...],
    imbalance: float,
    kinds: tuple[PassKind, ...],
    at_once: AtOnce,
) -> tuple[float, float]:
    """Of a pass alone, and from one to the next at the slowest part where there are several sequences, else 0; most
    assumptions of an estimate change none of what these depend on."""
    g = Geometry.of(shape, lanes, at_once, dict(paces), gains_behind)
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
        routes = [chosen[layer.mlp] for layer in shape.layers]
        found.append(Pass(kind.positions, kind.wanted, routes, kept=kind.kept))
    return found
