"""Exploration: the cost model's error on tiles it has not seen, and a search that finds what it claims."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from flows.cli import commands
from flows.estimate.figures import Request
from flows.explore.fit import DEFAULT_FIT, CostModel, fit_tiles
from flows.explore.report import Units, search_space
from flows.explore.search import Point, Space, hardware_json, measure, pareto
from flows.explore.tiles import FIT, HELD_OUT, Tile, measure_tiles, plan_tile
from gen.hardware import HardwareConfig
from golden.config import ModelConfig
from golden.errors import UserError
from golden.presets import preset_path

TILES = json.loads(DEFAULT_FIT.read_text())


PARALLEL = Units(keys_per_cycle=128, head_tiles=154)


def space(like: str = "llada-moe-7b", units: Units = PARALLEL, **request) -> Space:
    return search_space(like, None, Request("5nm", "hardloom", **request), None, units)


def test_the_cost_model_is_within_ten_percent_on_tiles_it_was_not_fitted_to():
    held_out = [tile for tile in TILES["tiles"] if tile["held_out"]]
    assert len(held_out) >= 6 and max(abs(tile["error"]) for tile in held_out) <= 0.10
    assert not {(t.inputs, t.slices, t.lanes) for t in FIT} & {(t.inputs, t.slices, t.lanes) for t in HELD_OUT}


def test_the_fit_is_what_its_tiles_give():
    raw = {"library": TILES["library"], "measured": TILES["tiles"]}
    again = fit_tiles(raw)
    assert (again["neuron"], again["shell"]) == (TILES["neuron"], TILES["shell"])
    model = CostModel.read()
    for tile in TILES["tiles"]:
        predicted = model.array_ge(tile["rows"], tile["inputs"], tile["slices"], tile["lanes"], tile["format"])
        assert round(predicted, 1) == tile["predicted_ge"]


@pytest.mark.slow
def test_a_tile_still_synthesizes_to_what_the_fit_says(monkeypatch):
    monkeypatch.setattr("flows.explore.tiles.FIT", FIT[:2])
    monkeypatch.setattr("flows.explore.tiles.HELD_OUT", ())
    for found, tile in zip(measure_tiles()["measured"], TILES["tiles"], strict=False):
        assert found["neuron_ge"] == pytest.approx(tile["neuron_ge"], rel=0.1)


def test_a_tile_is_an_array_of_its_geometry():
    plan = plan_tile(Tile(64, 4, 8))
    assert (plan.inputs, plan.slices, plan.lanes, plan.style) == (64, 4, 8, "metal")


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


def test_experts_take_more_slices_than_what_serves_every_token():
    best = space().best(100_000, "area")
    assert best.slices["gate_up"] > best.slices["qkv"]
    cycles = best.cycles
    assert max(cycles.values()) == cycles[best.bottleneck]


def test_even_experts_are_faster_than_uneven_ones():
    even, uneven = (space(expert_imbalance=x) for x in (1.0, 2.0))
    kind = next(k for k in even.shape.kinds() if k.kind == "gate_up")
    assert even.cycles(kind, 8, 8) * 2 == pytest.approx(uneven.cycles(kind, 8, 8))


def test_parts_make_the_whole():
    best = space().best(10_000, "area")
    assert sum(best.area_mm2.values()) == best.area
    assert best.to_json_dict()["area_mm2_total"] == best.area


def test_an_impossible_target_names_the_nearest_point():
    with pytest.raises(
        UserError, match=r"1e\+09: out of reach of llada-moe-7b; the nearest point has .* takes .* cycles"
    ):
        space().best(1e9, "area")


def test_the_emitted_attention_is_the_bottleneck_of_long_sequences():
    assert space(units=Units(1, 154)).best(3100, "area").bottleneck == "attention"


def test_the_emitted_head_drains_slowly():
    assert space(units=Units(128, 1)).best(1000, "area").bottleneck == "head"


@pytest.mark.parametrize("like", ["llada2.0-mini", "llada2.0-flash", "gpt-oss-120b"])
def test_other_models_are_searched_too(like):
    assert space(like).best(100, "area").area > 0


def test_the_hardware_file_is_one_that_generate_takes(tmp_path):
    file = tmp_path / "hardware.json"
    command = ["explore", "--like", "llada-moe-7b", "--tokens-per-second", "2000", "-o", str(file), "--json"]
    result = CliRunner().invoke(
        commands, [*command, "--plot", str(tmp_path / "p.png"), "--front", str(tmp_path / "f.json")]
    )
    assert result.exit_code == 0
    hardware = HardwareConfig.from_json_dict(json.loads(file.read_text()))
    hardware.check(ModelConfig.from_json(preset_path("llada-moe-7b")))
    report = json.loads(result.stdout)
    assert report["hardware"] == hardware.to_json_dict() and report["chosen"]["tokens_per_s"] >= 2000
    assert json.loads((tmp_path / "f.json").read_text()) == report["front"]
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_the_choice_for_the_demonstration_model_is_one_that_generate_takes():
    found = search_space(
        None, preset_path("llada-moe-7b").parents[2] / "checkpoints" / "demo", Request(), None, Units()
    )
    best = found.best(1000, "area")
    config = ModelConfig.from_json(preset_path("llada-moe-7b").parents[2] / "checkpoints" / "demo" / "config.json")
    HardwareConfig.from_json_dict(hardware_json(best, 32)).check(config)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--like", "llada2.0-mini", "--tokens-per-second", "10", "-o", "x.json"], "cannot write this model"),
        (["--like", "llada-moe-7b", "--objective", "speed"], "--objective speed"),
        (["--like", "llada-moe-7b", "--head-tiles", "0"], "--head-tiles 0"),
        (["--like", "llada-moe-7b", "--fit", "nowhere.json"], "nowhere.json: the file does not exist"),
        (["--like", "llada-moe-7b", "--plot", "x.svg"], "--plot x.svg"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence):
    result = CliRunner().invoke(commands, ["explore", *arguments])
    assert isinstance(result.exception, UserError) and sentence in str(result.exception)


def test_a_broken_fit_is_refused(tmp_path):
    (tmp_path / "fit.json").write_text("[]")
    with pytest.raises(UserError, match="is no fit"):
        CostModel.read(tmp_path / "fit.json")


def test_more_lanes_never_slow_an_array():
    searched = space()
    for kind in searched.shape.kinds():
        cycles = [searched.cycles(kind, 4, lanes) for lanes in searched.lanes()]
        assert cycles == sorted(cycles, reverse=True)
    assert (
        replace(searched, keys_per_cycle=2).attention_cycles() * 2
        == replace(searched, keys_per_cycle=1).attention_cycles()
    )
