"""Cycles of a pass on the emitted chip: counted from its units, and measured."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hardloom.flows.bench.cycle_chips import CHIPS
from hardloom.flows.bench.cycles import build_small, modelled, prompts_of
from hardloom.flows.bench.timeline import chip_timeline
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.flows.design.cycles.forward import forward_cycles, likely_step, likely_wanted
from hardloom.flows.design.cycles.geometry import ArrayPace, Geometry
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.routes import likely_routes
from hardloom.flows.design.cycles.sequences import Pipeline, SequenceRun, run_cycles
from hardloom.flows.design.cycles.throughput import slowest_part
from hardloom.flows.design.cycles.times import in_order
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.golden.checkpoints.config import read_config
from hardloom.verif.chip.compare import simulate_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from tests import DEMO, ROOT
from tests.samplers import by_quota


@pytest.mark.parametrize("length", [2, 20])
def test_a_chip_takes_the_cycles_that_the_model_says(tiny_chip: SimulatedChip, length: int):
    params = by_quota(8, 4, 4)
    prompt = torch.randint(15, (length,), generator=torch.Generator().manual_seed(length)).tolist()
    run = simulate_runs(tiny_chip, [Run(prompt, params)], None).runs[0]
    assert modelled(tiny_chip.build, [run]) == pytest.approx([run.cycles], rel=0.01)


@pytest.mark.parametrize(
    "name, cycles",
    [
        ("serial arrays", (910.2, 3_048.6)),
        ("the same, slow experts, deeper queues", (1_346.5, 2_791.2)),
    ],
)
def test_serial_arrays_take_the_cycles_that_were_simulated(name: str, cycles: tuple[float, float], tmp_path: Path):
    """`hardloom bench cycles`, of a step at 12 and at 32 positions: they hold who sends for as long as they add up."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert all(f"| {simulated:,.1f} |" in text for simulated in cycles)
    chip = next(chip for chip in CHIPS if chip.name == name and chip.family == "LLaDA-MoE")
    build = build_small(chip, tmp_path)
    counted = [modelled(build, [Run(*one)])[0] / steps for one, steps in zip(prompts_of(chip), (4, 8), strict=True)]
    assert counted == pytest.approx(cycles, rel=0.001)


def test_packets_pass_the_probe_points_when_the_model_says(tiny_chip: SimulatedChip, tmp_path: Path):
    """To a few cycles, and drawn. What waits for the first layer's array of q, k and v is not followed: nothing behind
    depends on that."""
    found = chip_timeline(tiny_chip, tmp_path / "timeline.svg")
    errors = {probe.probe: probe.error for probe in found.probes if probe.error is not None}
    halves = ["input_norm", "attention.output", "o", "post_norm", "router.experts", "moe", "residual"]
    assert {"embedding", "final_norm", "logits", "argmax.token"} <= errors.keys()
    assert {f"layer.{layer}.{name}" for layer in range(2) for name in halves} <= errors.keys()
    waiting = ("embedding", "layer.0.input_norm")
    assert max(error for name, error in errors.items() if name not in waiting) <= 4, errors
    assert (tmp_path / "timeline.svg").stat().st_size > 10_000


def test_sequences_at_once_take_the_cycles_that_the_model_says(tiny_chip: SimulatedChip):
    """Of unequal lengths and blocks, three slots full all the time; each waits for the others."""
    mixed = [([5] * 20, by_quota(8, 4, 8)), ([3] * 6, by_quota(8, 8, 8)), ([2] * 12, by_quota(12, 6, 6))]
    runs = simulate_runs(tiny_chip, [Run(*one) for one in mixed], None, at_once=3).runs
    alone = simulate_runs(tiny_chip, [Run(*one) for one in mixed], None).runs
    counted = modelled(tiny_chip.build, runs)
    assert sum(counted) == pytest.approx(sum(run.cycles for run in runs), rel=0.03)
    assert max(run.cycles for run in runs) < 0.7 * sum(run.cycles for run in alone)


def test_a_pass_by_itself_is_the_forward_that_is_estimated():
    g = demonstration()
    one = likely_pass(g, 24)
    assert Pipeline(g).send(0, one) == forward_cycles(g, one)


def demonstration() -> Geometry:
    """By the cost model; `hardloom estimate` does the same for chips that nobody has built."""
    _, shape = read_config(DEMO / "config.json")
    hardware, model = HardwareConfig.default(shape), CostModel.read()
    paces = {
        kind.kind: ArrayPace(
            model.cost(
                ArrayShape("metal", kind.rows, kind.inputs, hardware.slices[kind.kind], hardware.lanes, kind.banks)
            ).packet_cycles
        )
        for kind in shape.kinds()
    }
    return Geometry(shape, hardware.lanes, paces)


def likely_pass(g: Geometry, positions: int, imbalance: float = 1.35) -> Pass:
    routes = likely_routes(g.experts.num_experts, g.experts.top_k, imbalance, positions)
    return Pass(range(positions), likely_wanted(positions, 8, 2), [routes] * len(g.model.layers))


def pass_of(g: Geometry, positions: int, imbalance: float = 1.35) -> float:
    return forward_cycles(g, likely_pass(g, positions, imbalance))


@pytest.mark.parametrize("positions, cycles", [(22, 5_020), (28, 7_527)])
def test_the_demonstration_chip_takes_the_cycles_that_were_measured(positions: int, cycles: int):
    """The figures of docs/benchmarks.md, by `hardloom bench chip`: 8 lanes, two tokens a pass."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert "| 5,020;" in text and "(7,527 cycles) | 1.200 |" in text
    counted = pass_of(demonstration(), positions) + likely_step(8, 4)
    assert counted == pytest.approx(cycles, rel=0.01)


def test_no_array_is_forgotten():
    """Whichever is slow, it holds the pass; twice the positions take four times the attention."""
    g = demonstration()
    base, wanted = pass_of(g, 64), len(likely_wanted(64, 8, 2))
    for kind in g.paces:
        least = base + 10_000 * (wanted - 1) if kind == "head" else 5 * base
        assert pass_of(replace(g, paces=g.paces | {kind: ArrayPace(10_000)}), 64) > least
    assert pass_of(g, 2048) == pytest.approx(4 * pass_of(g, 1024), rel=0.02)


def test_shallow_queues_cost_cycles_where_experts_are_the_slowest():
    g = demonstration()
    slow = replace(g, paces=g.paces | dict.fromkeys(("gate_up", "down"), ArrayPace(300)))
    shallow = replace(slow, queues=Queues(residual=1, routing=1, jobs=1))
    assert pass_of(shallow, 32) > 1.2 * pass_of(slow, 32)


def test_queues_around_arrays_let_tokens_pass_a_busy_expert():
    """Up to the cycles of the busiest one; where nobody waits they cost their way through and no more."""
    g = replace(demonstration(), expert_groups=4, head_lanes=4)
    slow = replace(g, paces=g.paces | dict.fromkeys(("gate_up", "down"), ArrayPace(600)))
    deep = Queues(residual=64, routing=16, jobs=16, sums=16)
    queued = replace(deep, packets=4, results=4)
    without, between, with_both = (
        pass_of(replace(slow, queues=queues), 64) for queues in (deep, replace(queued, packets=0), queued)
    )
    assert with_both < 0.9 * without and with_both < between < without
    assert with_both > len(g.model.layers) * 64 * g.experts.top_k / g.experts.num_experts * 600
    quick, way = pass_of(replace(g, queues=deep), 64), pass_of(replace(g, queues=queued), 64)
    assert quick < way < quick + 50


def test_experts_chosen_more_often_take_longer_where_they_are_the_slowest():
    g = demonstration()
    slow = replace(g, paces=g.paces | {"gate_up": ArrayPace(2000)})
    one, turns = likely_pass(g, 64), [[2 * (position % 4), 2 * (position % 4) + 1] for position in range(64)]
    in_turn = forward_cycles(slow, replace(one, routes=[turns] * len(g.model.layers)))
    assert in_turn == pytest.approx(2 * 64 / 4 * 2000, rel=0.1)
    even, uneven = (pass_of(slow, 64, imbalance) for imbalance in (1.0, 3.0))
    assert uneven > 1.5 * even > 2 * in_turn  # results come in order: who is drawn twice holds up the others


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(0, 20), st.integers(1, 20)
)  # gaps between arrivals
def test_packets_leave_in_order_each_as_soon_as_it_can(gaps: list[int], latency: int, interval: int):
    arrivals = np.cumsum(gaps).astype(float)
    left = in_order(arrivals, latency, interval)
    expected = [arrivals[0] + latency]
    for arrival in arrivals[1:]:
        expected.append(max(arrival + latency, expected[-1] + interval))
    assert left.tolist() == expected
    assert all(later - earlier >= interval for earlier, later in pairwise(left))


@pytest.mark.parametrize("imbalance, busiest, idle", [(1.0, 1.0, 0), (1.85, 1.85, 0), (3.0, 3.0, 22), (64.0, 8.0, 49)])
def test_likely_routes_are_as_uneven_as_is_asked_for(imbalance: float, busiest: float, idle: int):
    """Of 64 experts, 8 a token, by chance: the busiest as often as asked for or always; some never, if they must be."""
    routes = likely_routes(64, 8, imbalance, 20_000)
    assert all(len(experts) == len(set(experts)) == 8 for experts in routes)
    load = np.sort(np.bincount(np.array(routes).ravel(), minlength=64)) / 20_000 * 8
    assert load[-1] == pytest.approx(busiest, rel=0.06) and (load == 0).sum() == idle
    assert likely_routes(64, 8, imbalance, 100) == likely_routes(64, 8, imbalance, 100)
    assert likely_routes(64, 8, imbalance, 100) != likely_routes(64, 8, imbalance, 100, seed=1)


def test_a_run_that_starts_later_holds_nobody_before():
    """Of two runs of one length, the second starts in the middle of the first, when that has ended, or long after."""
    g = replace(demonstration(), passes=2)
    one = SequenceRun(100, [replace(likely_pass(g, 22), own=50)] * 3)
    (alone,) = run_cycles(g, [one], [0])
    together = run_cycles(g, [one, one], [0, 30])
    middle = run_cycles(g, [one, one], [1000, 1000 + alone / 2])
    assert max(together) > 1.01 * alone and middle[0] < 1.01 * alone
    assert run_cycles(g, [one, one], [0, alone]) == run_cycles(g, [one, one], [5 * alone, 0]) == [alone, alone]


def test_passes_of_several_sequences_are_as_far_apart_as_at_the_slowest_part():
    """Of many that always wait: what the whole pipeline does is what its slowest layer, or head, does."""
    g = replace(demonstration(), passes=2)
    one = replace(likely_pass(g, 22), wanted=range(16, 22), own=50)
    ended = run_cycles(g, [SequenceRun(0, [one] * 12)] * 5, [0] * 5)
    slowest = slowest_part(g, [(1, [one] * 4)])
    assert max(ended) / 60 == pytest.approx(slowest, rel=0.03)
    assert slowest == pytest.approx(1_931, rel=0.01)  # measured: docs/benchmarks.md, Several sequences
    slow_head = replace(g, paces=g.paces | {"head": ArrayPace(10_000)})
    assert slowest_part(slow_head, [(1, [one] * 4)]) == 6 * 10_000
