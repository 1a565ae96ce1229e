"""What an estimate is asked for: impossible, without effect or out of reach is one sentence."""

import json
import re
from math import inf, nan

import pytest

from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.figures import estimate
from hardloom.flows.design.estimate.request import Request
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.errors import UserError
from tests.command_line import hardloom
from tests.flows.test_estimate import run


@pytest.mark.parametrize(
    "request_, sentence",
    [
        ({"node": "3nm"}, "--node 3nm"),
        ({"design": "gpu"}, "--design gpu"),
        ({"sampler": "greedy"}, "--sampler greedy"),
        ({"design": "hnlpu"}, "--design hnlpu: .* gpt-oss-120b"),
        ({"arrays": "hnlpu"}, "--arrays hnlpu"),
        ({"tokens_per_s": -1.0}, "--tokens-per-s -1.0"),
        ({"gen_length": 0}, "--gen-length 0"),
        ({"gen_length": 10**6}, "--gen-length: 1000000 positions, and llada-moe-7b has 8192"),
        ({"tokens_per_s": inf}, "--tokens-per-s inf"),
        ({"tokens_per_forward": nan}, "--tokens-per-forward nan"),
        ({"tokens_per_forward": 1e9}, "--tokens-per-forward 1e.09: a pass commits at most the 64"),
        ({"gen_length": 4}, "--tokens-per-forward 4.29: a pass commits at most the 4"),
        ({"sampler": "autoregressive", "tokens_per_forward": 2.0}, "autoregressive model commits one"),
        ({"expert_imbalance": 0.5}, "--expert-imbalance 0.5: the busiest expert has the mean at least"),
        ({"expert_imbalance": 9.0}, "--expert-imbalance 9: no expert serves more than all, 8"),
        ({"styles": ("memory",)}, "--styles memory"),
        ({"at_once": AtOnce(query_lanes=257)}, "--query-lanes: 257 exceeds the 256 positions of a sequence"),
        ({"gen_length": 20, "at_once": AtOnce(query_lanes=149)}, "149 exceeds the 148 positions"),
        ({"at_once": AtOnce(head_tiles=157185)}, "--head-tiles: 157185 exceeds the 157,184 rows of the head"),
        ({"sampler": "block", "at_once": AtOnce(sequences=2)}, "--sequences: changes nothing, for .* as block does"),
        ({"prompt_length": 8192}, "--gen-length: the model's 8192 positions leave none for it"),
    ],
)
def test_mistakes_are_one_sentence(request_, sentence):
    with pytest.raises(UserError, match=sentence):
        run("llada-moe-7b", **request_)


@pytest.mark.parametrize(
    "request_, sentence",
    [
        ({"sampler": "whole"}, "--sampler whole: gpt-oss-120b is causal"),
        ({"sampler": "block", "design": "hardloom"}, "--sampler block: gpt-oss-120b is causal"),
        ({"prompt_length": 9}, "--prompt-length: changes nothing"),
        ({"gen_length": 9}, "--gen-length: changes nothing"),
        ({"expert_imbalance": 1.5}, "--expert-imbalance: changes nothing"),
        ({"styles": ("metal",)}, "--styles: changes nothing"),
        ({"formats": {"head": "int8"}}, "--formats: changes nothing"),
        ({"at_once": AtOnce(head_lanes=2)}, "--head-lanes: changes nothing"),
        (
            {"at_once": AtOnce(adapter_rank=4)},
            "--adapter-rank: changes nothing, for the paper's design has no adapters",
        ),
    ],
)
def test_what_would_change_nothing_of_the_papers_design_is_refused(request_, sentence):
    with pytest.raises(UserError, match=sentence):
        run("gpt-oss-120b", **request_)


def test_what_a_model_does_not_have_by_itself_it_may_be_given():
    assert run("gpt-oss-120b", sampler="autoregressive").request.sampler == "autoregressive"
    assert run("gpt-oss-120b", arrays="hardloom", styles=("metal",)).chip.area > 0
    assert run("llada-moe-7b", at_once=AtOnce(query_lanes=256)).emitted is not None


def test_a_throughput_out_of_reach_is_refused_with_the_one_that_is_reached():
    ran = hardloom("estimate", "--like", "llada-moe-7b", "--tokens-per-second", "1e30")
    sentence = r"llada-moe-7b; the fastest has ([\d,]+) tokens/s on 4,441 mm2, limited by qkv, at 32 cycles a position"
    (fastest,) = re.findall(sentence, ran.err)
    assert ran.code == 1 and ran.out == "" and len(ran.err.splitlines()) == 1
    reached = str(int(fastest.replace(",", "")) - 1)
    found = json.loads(hardloom("estimate", "--like", "llada-moe-7b", "--tokens-per-second", reached, "--json").out)
    assert found["tokens_per_s"] == pytest.approx(float(reached), rel=1e-5)
    assert found["tokens_per_s_asked"] == float(reached)
    ran = hardloom("estimate", "--like", "gpt-oss-120b", "--tokens-per-second", "248300")
    assert ran.code == 1 and "the fastest has 248,278 tokens/s" in ran.err


def test_a_throughput_that_nobody_asked_for_is_missed_with_a_sentence():
    asked = "249,960 tokens/s, asked for by default, are out of reach: limited by qkv, at 32 cycles a position"
    long = hardloom("estimate", "--like", "llada-moe-7b", "--prompt-length", "512", "--gen-length", "512")
    assert long.code == 0 and asked in " ".join(long.out.split())
    short = hardloom("estimate", "--like", "llada-moe-7b")
    assert short.code == 0 and "out of reach" not in short.out


@pytest.mark.parametrize("most", [2, 16, 255, 256, 300, 4096])
@pytest.mark.parametrize("given", [{}, {"prompt_length": 1}, {"gen_length": 1}])
def test_lengths_that_nobody_gave_fit_into_the_models_positions(most, given):
    """So do the ends of their ranges, each beside the value of the other."""
    fields = read_preset("llada-moe-7b") | {"max_position_embeddings": most}
    found = estimate("m", fields, {}, Request(tokens_per_forward=1, **given))
    prompt, generated = (found.assumptions.entries[name] for name in ("prompt_length", "gen_length"))
    assert found.workload.length == prompt.value + generated.value
    assert most // 2 * 2 <= found.workload.length <= most or found.workload.length == 256 - 127 * len(given)
    assert prompt.high + generated.value <= most and prompt.value + generated.high <= most
    assert {name: found.assumptions.entries[name].value for name in given} == given


def test_a_sequence_that_no_chip_holds_is_not_emitted():
    fields = read_preset("llada-moe-7b") | {"max_position_embeddings": 100_000}
    emitted = [estimate("m", fields, {}, Request(prompt_length=n, gen_length=35)).emitted for n in (65_500, 65_501)]
    assert emitted[0] is not None and emitted[1] is None


@pytest.mark.parametrize("option", [("--like", "llada-moe-7b"), ("--tornado", "x.png"), ("--tokens-per-second", "5")])
def test_a_comparison_takes_a_node_alone(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = hardloom("estimate", "--compare", *option)
    assert (ran.code, ran.err.strip()) == (1, f"error: --compare: goes without {option[0]}; leave that out")
    assert not [*tmp_path.iterdir()]


def test_a_config_that_is_not_known_names_the_field():
    raw = read_preset("llada-moe-7b")
    with pytest.raises(UserError, match="field architecture_of_nobody"):
        shape_of(raw | {"architecture_of_nobody": 1})
