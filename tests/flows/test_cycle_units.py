"""No unit of a chip is forgotten by the cycle model: each has a term that counts, or a reason why it costs no cycle."""

import re
from dataclasses import replace

import pytest

from hardloom.flows.bench.cycle_chips import CHIPS
from hardloom.flows.design.cycles import attention, experts, forward, geometry, networks
from hardloom.flows.design.cycles.forward import forward_cycles
from hardloom.flows.design.cycles.geometry import ArrayPace, Geometry
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.routes import likely_routes
from hardloom.gen.design import latency
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.gen.engine.inventory import chip_parts
from hardloom.gen.stream.component import Component
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.numerics import GENERAL


def everything() -> ModelShape:
    """A layer with a dense network and one with a shared expert; heads have norms, biases and clips."""
    model = shape_of(next(chip.fields for chip in CHIPS if chip.name.startswith("a dense layer")))
    layers = [
        replace(layer, attention=replace(layer.attention, bias=True, clip=1.0, head_norms=True))
        for layer in model.layers
    ]
    return replace(model, layers=tuple(layers))


COUNTED = {
    "rms_norm": r"(input|post|final|[qk])_norm",
    "GAIN": r"(input|post|final)_gain",
    "quantize": r"(input|post|final|[qk]|output|(dense_|shared_)?middle)_quantize",
    "RESCALE": r"(qkv|q|kv|o|router|head|(dense_|shared_)?(gate_up|down))_rescale|embedding",
    "BIAS": r"(qkv|q|kv)_bias",
    "rope": r"[qk]_rope",
    "score": r"attention",
    "SWIGLU": r"(dense_|shared_)?swiglu",
    "router": r"router",
    "WEIGHTED_SUM": r"weighted_sum",
    "COMBINE": r"combine",
    "RESIDUAL": r"residual|with_shared",
    "argmax": r"argmax",
    "PASSED": r"head_gate",
}
"""Instances of a chip or of a half of a layer, by the name of the latency by which the cycle model counts them."""

ELSEWHERE = {
    "sampler": "step_cycles and setup_cycles, compared with the simulated chip",
    "head_array": "packets, as those of all arrays",
    "dispatch": "a beat a cycle: hidden",
    r"waiting|jobs|sums|shares|expert_\d+_(gate_up|down)_(packets|results)": "how many tokens they hold: queues",
}
FREE = {
    r"(\w+_)?branch|border|ends|(\w+_)?heads|\w+_route|\w+_collect": "handed on in the same cycle",
    r"embedding_(rows|scales)|head_scales|final_gain_constants": "read in the cycle in which they are asked for",
    "v_quantize|v_clip": "values are stored before the keys that come beside them",
    "registers": "the host's",
}


def instances(model: ModelShape) -> set[str]:
    """Names of all units around the layers and in the halves of layers, whichever group of experts they are in."""
    hardware = replace(HardwareConfig.default(model), expert_groups=2, queues=Queues(packets=1, results=1))
    units = (part for part in chip_parts(model, GENERAL, hardware, "chip") if isinstance(part.thing, Component))
    names = (part.path[-1] for part in units if len(part.path) == (2 if part.layers else 1))
    return {re.sub(r"^group_\d+_", "", name) for name in names}


def test_every_instance_has_a_term_or_costs_no_cycle():
    patterns = [*COUNTED.values(), *ELSEWHERE, *FREE]
    grouped = shape_of(next(chip.fields for chip in CHIPS if chip.family == "LLaDA2.0"))
    names = instances(everything()) | instances(grouped)
    matching = {name: sum(bool(re.fullmatch(pattern, name)) for pattern in patterns) for name in names}
    assert {name for name, count in matching.items() if count != 1} == set()
    unused = [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in names)]
    assert unused == [] and len(names) > 60


@pytest.mark.parametrize("name", [*COUNTED, "CLIP", "QUEUED"])
def test_every_latency_counts(name: str, monkeypatch: pytest.MonkeyPatch):
    """A unit that takes longer makes a pass longer."""
    model = everything()
    g = Geometry(model, 4, {kind.kind: ArrayPace(20) for kind in model.kinds()}, gains_behind=True, expert_groups=2)
    routes = [None, likely_routes(4, 2, 1.2, 12)]

    def cycles(wanted: list[int]) -> float:
        return forward_cycles(g, Pass(range(12), wanted, routes))

    wanted = [2, 3] if name == "PASSED" else [10, 11]
    before = cycles(wanted)
    for module in (attention, experts, forward, geometry, networks, latency):
        if value := getattr(module, name, None):
            longer = value + 1000 if isinstance(value, int) else lambda *a, f=value, **k: f(*a, **k) + 1000
            monkeypatch.setattr(module, name, longer)
    assert cycles(wanted) >= before + 900
