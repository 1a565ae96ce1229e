"""The chip as `hardloom generate` writes it, under a workload: one sequence at a time, layer after layer."""

from collections.abc import Mapping
from functools import cache

from flows.design.cycles.experts import Routes
from flows.design.cycles.forward import forward_cycles, likely_routes, likely_wanted, step_cycles
from flows.design.cycles.geometry import Geometry
from flows.design.estimate.assumptions import Assumptions
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
    at_once: tuple[int, int] = (1, 1),
) -> float:
    """Cycles of a denoising step over the whole sequence.

    packets: of one array of each kind, from one packet to the next; busiest: share of the positions that meets the
    busiest expert; at_once: heads and queries on which attention works.
    """
    positions, block, commits = round(work.length), a["block_length"], work.tokens_per_forward
    wanted = likely_wanted(positions, block, commits)
    chip = shape, shape.gains_behind, lanes, tuple(packets.items())
    return pass_cycles(*chip, busiest, positions, wanted, at_once) + step_cycles(block, commits)


@cache
def pass_cycles(
    shape: ModelShape,
    gains_behind: bool,
    lanes: int,
    packets: tuple[tuple[str, int], ...],
    busiest: float,
    positions: int,
    wanted: range,
    at_once: tuple[int, int],
) -> float:
    """As `forward_cycles`; most assumptions of an estimate change none of these."""
    heads, queries = at_once
    g = Geometry(shape, lanes, dict(packets), gains_behind=gains_behind, head_lanes=heads, query_lanes=queries)
    chosen: dict[DenseShape | ExpertsShape, Routes | None] = {}
    for mlp in dict.fromkeys(layer.mlp for layer in shape.layers):
        chosen[mlp] = None
        if isinstance(mlp, ExpertsShape):
            chosen[mlp] = likely_routes(mlp.num_experts, mlp.top_k, busiest, positions)
    return forward_cycles(g, [chosen[layer.mlp] for layer in shape.layers], positions, wanted)
