"""Gates of the units of `gen/units` on a chip of any size, from what those of small chips are synthesized to."""

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.golden.shape import ExpertsShape, ModelShape

__all__ = ["unit_gates"]


def unit_gates(shape: ModelShape, lanes: int, at_once: AtOnce, a: Assumptions) -> float:
    """Gates of all units but attention: of every layer by lanes, experts and what works side by side, and behind the
    tiles of the head, which may have noise."""
    found = at_once.head_tiles * lanes * a["tile_gates_per_lane"]
    if at_once.temperature:
        found += a["noise_gates"] + at_once.head_tiles * lanes * a["noise_gates_per_lane"]
    for layer in shape.layers:
        found += a["layer_gates"] + lanes * a["unit_gates_per_lane"]
        if isinstance(experts := layer.mlp, ExpertsShape):
            found += lanes * experts.num_experts * a["collect_gates_per_lane"]
            found += lanes * (at_once.expert_groups - 1) * a["group_gates_per_lane"]
            router = a["router_gates"] + experts.num_experts * a["router_gates_per_expert"]
            found += at_once.routers * router
            found += lanes * a["network_gates_per_lane"] if experts.shared_size else 0
    return found
