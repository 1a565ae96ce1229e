"""Exploration: a search that finds what it claims, and a choice that the generator takes."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.flows.design.estimate.adapters import adapter_price
from hardloom.flows.design.estimate.arrays import ArrayOption, options
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.figures import estimate, read_model
from hardloom.flows.design.estimate.request import Request
from hardloom.flows.design.estimate.workload import Workload
from hardloom.flows.design.explore.attention import AttentionLanes, attention_lanes
from hardloom.flows.design.explore.points import Point, hardware_json, measure, pareto
from hardloom.flows.design.explore.report import search_space
from hardloom.flows.design.explore.search import Space
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.golden.checkpoints.config import read_config
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import MatrixKind
from hardloom.verif.proof.static import recover
from tests import DEMO
from tests.chips import built_chip
from tests.command_line import hardloom

PARALLEL = AtOnce(head_tiles=154)


@cache
def space(like: str = "llada-moe-7b", units: AtOnce = PARALLEL, **request) -> Space:
    return search_space(like, None, Request("5nm", "hardloom", **request), None, units)


@cache
def all_points(objective: str) -> list[Point]:
    return list(space().points(objective))


@settings(max_examples=10, deadline=None)
@given(st.floats(1.0, 6.0), st.sampled_from(["area", "energy"]))
def test_the_choice_reaches_the_throughput_and_nothing_on_the_front_beats_it(exponent, objective):
    searched, target, points = space(), 10**exponent, all_points(objective)
    if max(point.tokens_per_s for point in points) < target:
        with pytest.raises(UserError, match="out of reach"):
            searched.best(target, objective)
        return
    best = searched.best(target, objective)
    assert best.tokens_per_s >= target
    better = [p for p in points if p.tokens_per_s >= target and measure(p, objective) < measure(best, objective)]
    assert better == []


@pytest.mark.parametrize("objective", ["area", "energy"])
def test_the_front_rises(objective):
    front = pareto(all_points(objective), objective)
    assert len(front) > (3 if objective == "area" else 0)
    for slower, faster in pairwise(front):
        assert slower.tokens_per_s < faster.tokens_per_s and measure(slower, objective) < measure(faster, objective)


def test_experts_are_slower_and_denser_than_what_serves_every_token():
    best = space().best(100_000, "area")
    kinds = {kind.kind: kind for kind in best_kinds()}
    dense = {name: best.gates[name] / kinds[name].weights for name in kinds}
    assert max(dense["gate_up"], dense["down"]) < min(dense["qkv"], dense["o"], dense["head"])
    assert max(best.cycles.values()) == best.cycles[best.bottleneck]


def best_kinds() -> list[MatrixKind]:
    return list(space().shape.kinds())


def test_a_kind_takes_the_style_that_suits_it():
    front = pareto(all_points("area"), "area")
    assert any(len({option.style for option in point.options.values()}) > 1 for point in front)
    metal = space(styles=("metal",)).best(100_000, "area")
    assert {option.style for option in metal.options.values()} == {"metal"}
    assert metal.area > space().best(100_000, "area").area


@pytest.mark.parametrize("objective", ["area", "energy"])
@pytest.mark.parametrize("lanes", [8, 64])
def test_no_option_is_left_out_that_beats_the_candidates(objective, lanes):
    searched = space()
    for kind in searched.shape.kinds():
        kept = searched.candidates(kind, lanes)
        for option in options(searched.model, kind, lanes):
            other = searched.candidate(kind, option, lanes)
            quick = [c for c in kept if c.cycles <= other.cycles]
            assert min(c.measure(objective) for c in quick) <= other.measure(objective)


def test_even_experts_are_faster_than_uneven_ones():
    even, uneven = (space(expert_imbalance=x) for x in (1.0, 2.0))
    kind, option = next(k for k in even.shape.kinds() if k.kind == "gate_up"), ArrayOption("packed", 8)
    assert even.candidate(kind, option, 8).cycles * 2 == pytest.approx(uneven.candidate(kind, option, 8).cycles)


def test_parts_make_the_whole():
    best = space().best(10_000, "area")
    assert sum(best.area_mm2.values()) == best.area
    assert best.to_json_dict()["area_mm2_total"] == best.area


def test_adapters_take_area_and_energy_and_are_a_field_of_the_hardware():
    ranks = (0, 8)
    plain, adapted = (search_space(None, DEMO, Request(), None, AtOnce(adapter_rank=rank)) for rank in ranks)
    without, best = (found.best(1000, "area") for found in (plain, adapted))
    price = adapter_price(plain.shape, 8, None, best.lanes, plain.a)
    assert price is not None and best.options == without.options
    assert best.area_mm2 | {"overhead": 0.0} == without.area_mm2 | {"adapters": price.mm2, "overhead": 0.0}
    more = price.fj * plain.work.positions_per_token / 1000
    assert best.energy_pj - without.energy_pj == pytest.approx(more, rel=0.02)  # it leaks longer, too
    assert [hardware_json(best, 32, found.units)["adapter_rank"] for found in (plain, adapted)] == [*ranks]


def test_an_impossible_target_names_the_nearest_point():
    with pytest.raises(
        UserError, match=r"1e\+09: out of reach of llada-moe-7b; the nearest point has .* takes .* cycles a position"
    ):
        space().best(1e9, "area")


def test_attention_does_as_much_at_once_as_the_arrays_ask_for():
    """Of 16 heads and 256 positions: heads first, then queries of all of them."""
    attention = space().shape.layers[0].attention
    lanes = {5000: (1, 1, 4096), 4095: (2, 1, 2048), 1000: (8, 1, 512), 256: (16, 1, 256), 255: (16, 2, 128)}
    lanes |= {49: (16, 6, 43), 1: (16, 256, 1), 0.5: (16, 256, 1)}
    for budget, expected in lanes.items():
        assert attention_lanes(attention, space().work, budget) == AttentionLanes(*expected)


def test_heads_that_share_keys_are_at_work_together_and_queries_of_a_block():
    """Of 24 heads, 3 to a key, and blocks of 8 positions: what `HardwareConfig.check` takes."""
    attention = replace(space().shape.layers[0].attention, num_heads=24, num_key_value_heads=8, block_length=8)
    at_once = {budget: attention_lanes(attention, space().work, budget) for budget in (3000, 1500, 90, 1)}
    assert [(found.head_lanes, found.query_lanes) for found in at_once.values()] == [(3, 1), (6, 1), (24, 4), (24, 8)]


@pytest.mark.parametrize("positions", [2, 5, 32, 48])
def test_attention_has_no_more_queries_than_positions(positions):
    attention = replace(space("llada2.0-mini").shape.layers[0].attention, block_length=32)
    work = Workload(positions, 1, 32, 1)
    assert attention_lanes(attention, work, 1e-9).query_lanes == {2: 2, 5: 4, 32: 32, 48: 32}[positions]


@pytest.mark.parametrize(
    "option, sentence",
    [
        (("--expert-groups", "3"), "--expert-groups: 3 does not divide num_experts = 64"),
        (("--head-tiles", "157185"), "--head-tiles: 157185 exceeds the 157,184 rows of the head"),
    ],
)
def test_what_a_model_cannot_do_at_once_is_refused_before_the_search(option, sentence):
    ran = hardloom("explore", "--like", "llada-moe-7b", *option)
    assert ran.code == 1 and sentence in ran.err and len(ran.err.splitlines()) == 1


def test_the_emitted_head_drains_slowly():
    assert space(units=AtOnce()).best(2200, "area").bottleneck == "head"


@pytest.mark.parametrize(
    "like",
    ["llada2.0-mini", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llada2.0-flash", "gpt-oss-120b"))],
)
def test_other_models_are_searched_too(like):
    assert space(like).best(100, "area").area > 0


def test_the_hardware_file_is_one_that_generate_takes(tmp_path):
    file = tmp_path / "hardware.json"
    command = [
        "explore",
        "--like",
        "llada-moe-7b",
        "--tokens-per-second",
        "200",
        "--head-tiles",
        "4",
        "-o",
        file,
        "--json",
    ]
    ran = hardloom(*command, "--plot", tmp_path / "p.png", "--front", tmp_path / "f.json")
    assert ran.code == 0
    hardware = HardwareConfig.from_json_dict(json.loads(file.read_text()))
    hardware.check(shape_of(read_preset("llada-moe-7b")))
    report = json.loads(ran.out)
    assert hardware.head_tiles == 4
    assert report["hardware"] == hardware.to_json_dict() and report["chosen"]["emitted"] >= 200
    assert json.loads((tmp_path / "f.json").read_text()) == report["front"]
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_a_chip_of_many_sequences_that_generate_takes_reaches_the_throughput_of_the_projected_one():
    units = AtOnce(expert_groups=8, sequences=40, head_tiles=32, routers=2, queues=Queues(residual=64, routing=8))
    searched = space(units=units)
    best = searched.best(250_000, "area")
    assert best.emitted is not None and best.emitted == best.tokens_per_s >= 250_000
    hardware = HardwareConfig.from_json_dict(hardware_json(best, 256, units))
    hardware.check(searched.shape)
    assert (hardware.routers, hardware.queues, hardware.sequences) == (2, units.queues, 40)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("depth=3", "'depth' is none of residual, routing, jobs, sums, packets, results; write it like residual=64"),
        ("residual=0", "queues.residual: 0 must be an integer of at least 1"),
        ("residual=2,residual=3", "'residual=3' is not residual=DEPTH, once; write it like residual=8"),
        ("residual", "'residual' is not residual=DEPTH, once; write it like residual=8"),
        ("jobs=-1", "queues.jobs: -1 must be an integer of at least 1"),
        ("packets=100000", "queues.packets: 100000 exceeds 65535; give fewer tokens"),
    ],
)
def test_depths_of_queues_that_make_no_sense_are_refused(wrong: str, why: str):
    ran = hardloom("estimate", "--like", "llada-moe-7b", "--queues", wrong)
    assert ran.code == 1
    assert why in " ".join(ran.err.split())


def test_the_choice_for_the_demonstration_model_is_one_that_generate_takes():
    found = search_space(None, DEMO, Request(), None, AtOnce())
    best = found.best(1000, "area")
    _, model = read_config(DEMO / "config.json")
    HardwareConfig.from_json_dict(hardware_json(best, 32, AtOnce())).check(model)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["area", "energy"])
def test_the_choice_for_a_tiny_checkpoint_is_built_and_every_weight_read_back(tiny_quantized, tmp_path, objective):
    found = search_space(None, tiny_quantized[0], Request(), None, AtOnce())
    hardware = HardwareConfig.from_json_dict(
        hardware_json(found.best(1000, objective), round(found.work.length), AtOnce())
    )
    build = built_chip(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "chip", hardware)
    assert {facts.kind: facts.style for facts in build.arrays} == hardware.style
    assert recover(build).complete


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--like", "llada2.0-mini", "--sampler", "cached", "-o", "x.json"], "as cached does: not all positions see"),
        (
            ["--like", "llada-moe-7b", "--sampler", "block", "-o", "x.json"],
            "as block does: all positions see each other",
        ),
        (["--like", "llada-moe-7b", "--head-tiles", "154", "-o", "x.json"], "writes no qkv that drains in parts"),
        (["--like", "llada-moe-7b", "--objective", "speed"], "--objective speed"),
        (["--like", "llada-moe-7b", "--head-tiles", "0"], "'--head-tiles'"),
        (["--like", "llada-moe-7b", "--styles", "cell"], "knows nothing of style cell"),
        (["--like", "llada-moe-7b", "--fit", "nowhere.json"], "nowhere.json is no file"),
        (["--like", "llada-moe-7b", "--plot", "x.pdf"], "x.pdf is neither PNG nor SVG"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    ran = hardloom("explore", *arguments)
    assert ran.code in (1, 2) and ran.err.startswith("error: ") and sentence in ran.err


def test_more_lanes_never_slow_an_array():
    searched = space()
    for kind in searched.shape.kinds():
        option = ArrayOption("packed", 4)
        cycles = [searched.candidate(kind, option, lanes).cycles for lanes in searched.lanes()]
        assert cycles == sorted(cycles, reverse=True)


def test_the_chip_of_the_estimate_is_found_too():
    """As wide as the estimate has it, the least area is the same chip: same arrays, same throughput, and the same area
    but for attention, whose lanes are whole heads and queries here and multipliers there."""
    estimated = estimate(*read_model("llada-moe-7b", None), Request(tokens_per_s=250_000))
    found = space(units=PARALLEL).best(250_000, "area")
    chosen = {choice.kind.kind: choice.option for choice in estimated.chip.choices}
    assert found.options == chosen
    others = {part: mm2 for part, mm2 in found.area_mm2.items() if part not in ("attention", "overhead")}
    assert others == pytest.approx({part: estimated.chip.area_mm2[part] for part in others}, rel=0.001)
    assert found.area == pytest.approx(estimated.chip.area, rel=0.01)
    assert found.projected == pytest.approx(estimated.chip.tokens_per_s)


def test_the_fastest_chip_as_emitted_is_that_of_the_estimate_with_more_attention():
    """One sequence at a time: a hundredth of the projected throughput. With all heads at once ten times the estimate's,
    whose attention takes one key of one head a cycle."""
    estimated = estimate(*read_model("llada-moe-7b", None), Request())
    searched = space(units=AtOnce())
    found = max((point for point in searched.points("area")), key=lambda point: point.tokens_per_s)
    assert found.emitted == found.tokens_per_s < found.projected
    slow = [point for point in searched.points("area") if point.attention.pairs == 1]
    assert estimated.emitted.tokens_per_s == pytest.approx(max(point.emitted for point in slow), rel=0.05)
    assert found.emitted > 8 * estimated.emitted.tokens_per_s
    with pytest.raises(UserError, match="out of reach"):
        searched.best(1.01 * found.tokens_per_s, "area")
