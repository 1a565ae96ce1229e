"""The chip as `hardloom generate` writes it, under a workload: passes through one layer after the other."""

from collections.abc import Mapping
from functools import cache

from flows.design.cycles.experts import Routes
from flows.design.cycles.forward import forward_cycles, likely_routes, likely_wanted, step_cycles
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.throughput import slowest_part
from flows.design.estimate.assumptions import Assumptions
from flows.design.estimate.at_once import AtOnce
from flows.design.estimate.workload import Workload
from gen.design.features import check_features
from golden.errors import UserError
from golden.shape import DenseShape, ExpertsShape, ModelShape

__all__ = ["emitted_pass", "why_not_emitted"]


def why_not_emitted(shape: ModelShape, sampler: str) -> str | None:
    """Why `hardloom generate` writes no chip of a model; None where it does."""
    try:
        check_features(shape)
    except UserError as error:
        return f"`hardloom generate` cannot write this model ({error})"
    if sampler != "whole":
        return f"`hardloom generate` writes chips that compute whole sequences, without the sampler {sampler}"
    return None


def emitted_pass(
    shape: ModelShape,
    lanes: int,
    packets: Mapping[str, int],
    work: Workload,
    busiest: float,
    a: Assumptions,
    at_once: AtOnce,
) -> float:
    """Cycles from one denoising step to the next, each over a whole sequence, of whichever of the sequences.

    Of several, each takes as long as alone, until the slowest part of the chip has no pause: a layer, what is around
    them, or the sampler. packets: of one array of each kind, from one packet to the next; busiest: share of the
    positions that meets the busiest expert.
    """
    positions, block, commits = round(work.length), a["block_length"], work.tokens_per_forward
    wanted = likely_wanted(positions, block, commits)
    chip = shape, shape.gains_behind, lanes, tuple(packets.items())
    alone, slowest = pass_cycles(*chip, busiest, positions, wanted, at_once)
    own = step_cycles(block, commits, at_once.sequences)
    return max((alone + own) / at_once.sequences, slowest, own)


@cache
def pass_cycles(
    shape: ModelShape,
    gains_behind: bool,
    lanes: int,
    packets: tuple[tuple[str, int], ...],
    busiest: float,
    positions: int,
    wanted: range,
    at_once: AtOnce,
) -> tuple[float, float]:
    """Of a pass alone, and from one to the next at the slowest part where there are several sequences, else 0; most
    assumptions of an estimate change none of what these depend on."""
    g = Geometry.of(shape, lanes, at_once, dict(packets), gains_behind)
    chosen: dict[DenseShape | ExpertsShape, Routes | None] = {}
    for mlp in dict.fromkeys(layer.mlp for layer in shape.layers):
        chosen[mlp] = None
        if isinstance(mlp, ExpertsShape):
            chosen[mlp] = likely_routes(mlp.num_experts, mlp.top_k, busiest, positions)
    routes = [chosen[layer.mlp] for layer in shape.layers]
    alone = forward_cycles(g, routes, positions, wanted)
    return alone, slowest_part(g, routes, positions, wanted) if at_once.sequences > 1 else 0.0
