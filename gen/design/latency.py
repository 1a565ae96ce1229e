"""Latencies of the units of `gen/units`: cycles from a packet's last beat in to its last beat out, nobody waiting.

Throughput is one beat a cycle, but for `router`. Each but `WEIGHTED_SUM`, `RESIDUAL` and `score` is measured on the
unit's bench (`verif.streams.checks.alone`).
"""

from collections.abc import Mapping

from hardloom.gen.design.head_tiles import TILE_FAN_IN, lane_steps
from hardloom.gen.design.trees import fold_levels, is_wide, tree_levels
from hardloom.golden.samplers.machine import Op

__all__ = [
    "ADDED",
    "BIAS",
    "CLIP",
    "COMBINE",
    "FAN_IN",
    "GAIN",
    "RESCALE",
    "RESIDUAL",
    "SWIGLU",
    "WEIGHTED_SUM",
    "adapter",
    "argmax",
    "narrow_beats",
    "quantize",
    "rms_norm",
    "rope",
    "router",
    "sampler",
    "score",
]

FAN_IN = 16
"""Operands of one registered stage of the adder tree of attention's scores."""

RESCALE = 2
SWIGLU = 4
WEIGHTED_SUM = 1
"""From the last beat of a token's last packet."""
COMBINE = 1
"""Where experts are in one group."""
RESIDUAL = 1
GAIN = 2
BIAS = 1
CLIP = 1


ADDED = 1
"""From a vector to its sum with what its adapter adds, where that is there."""


def adapter(narrow_beats: int, row_beats: int) -> int:
    """From the packet's last beat, where the array is not later; narrow_beats: of what is between A and B; row_beats:
    of what it gives."""
    return 2 * narrow_beats + row_beats + 14


def narrow_beats(rank: int, lanes: int) -> int:
    """Of what is between A and B of an adapter."""
    return -(-rank // lanes)


def rms_norm(beats: int, lanes: int) -> int:
    return 2 * beats + 8 + len(fold_levels(lanes))


def quantize(beats: int) -> int:
    return beats + 2


def rope(beats: int, gained: bool = True, clipped: bool = False) -> int:
    return beats + 4 + GAIN * gained + CLIP * clipped


def score(head_dim: int) -> int:
    """From a key's place in memory to its score: fetch, multiply, stages of adders, scale, round."""
    return 4 + len(tree_levels(head_dim, FAN_IN))


def router(
    count: int,
    top_k: int,
    lanes: int,
    *,
    softmax: bool,
    grouped: bool,
    renormalised: bool,
    scaled: bool = False,
    block: int = 0,
) -> int:
    """From the last logit to the choice of `top_k` of `count` experts; a token each `count` cycles.

    A softmax waits for the last logit, sigmoids are taken as they come, one a cycle. grouped: some groups are left
    out; renormalised: weights are; scaled: they are, by a factor that is not 1; block: tokens of a block that admits
    experts, from whose last logit it counts.
    """
    beats, at_once = -(-count // lanes), min(count, lanes)
    scores = 2 * count + 9 + len(fold_levels(lanes)) + is_wide(lanes) if softmax else count - at_once - beats + 3
    groups = count + 2 if grouped else block * count + 2 if block else 0
    weights = top_k + 5 if renormalised else scaled
    return scores + groups + 1 + weights


NOISE = 8
"""From a logit to its sum with its noise."""
SHARE = 4
"""From the sum of exponentials to the spread of a token that was drawn."""


def argmax(beats: int, lanes: int, tiles: int = 1, noise: bool = False) -> int:
    """From the last logit to the prediction; beats, lanes: of each of so many tiles."""
    stages = len(tree_levels(tiles, TILE_FAN_IN))
    found = len(lane_steps(lanes, tiles)) + (1 + 2 * stages if tiles > 1 else 0)
    return beats + 6 + found + (NOISE + SHARE) * noise


INSTRUCTION = 2
LONGER = {Op.PUT: 2, Op.MUL: 33, Op.SCAN: 2} | dict.fromkeys((Op.TOKEN, Op.GUESS, Op.SPREAD, Op.NOTE, Op.MEMO), 1)
"""Cycles of an instruction, and how many more some take."""


def sampler(executed: Mapping[Op, int], jumped: int, scanned: int) -> int:
    """Of a program's instructions; jumped: those that did not lead to the next one; scanned: positions of SCAN."""
    return sum(count * (INSTRUCTION + LONGER.get(op, 0)) for op, count in executed.items()) + jumped + scanned
