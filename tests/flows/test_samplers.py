"""Samplers from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from hardloom.flows.models import rtl_engine
from hardloom.gen.build.folder import Build
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.samplers.sampling import SAMPLERS, Sampling, read_sampler
from tests import DEMO, DEMO2
from tests.command_line import hardloom
from tests.published_models import write_family

PROMPT = ("sample", DEMO, "--engine", "float", "--prompt", "47+85=")


def sampled(*arguments: object) -> dict:
    ran = hardloom(*PROMPT, *arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_library_is_listed_with_parameters_and_defaults(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    listed = hardloom("sample", "--list-samplers").out
    assert [name for name in SAMPLERS if name not in listed] == []
    assert "edit_threshold=0.0" in listed and "delete_token=delete_token_id" in listed


def test_without_a_sampler_it_is_llada_or_threshold():
    assert sampled() == sampled("--sampler", "llada", "--set", "block_length=8", "--set", "steps=8")
    by_threshold = sampled("--threshold", 0.5, "--block-length", 4)
    assert by_threshold == sampled("--sampler", "threshold", "--set", "threshold=0.5", "--set", "block_length=4")
    assert by_threshold["steps"] < 16 and by_threshold["text"] == "132"


def test_a_causal_model_is_read_out_from_left_to_right(tmp_path: Path):
    """Token by token what its logits say, in float and in integers; no sampler that fills masks is taken."""
    folder, run = write_family(tmp_path / "llama", "Llama"), ("--prompt-tokens", "3,1,4", "--gen-length", 5)
    assert hardloom("quantize", folder, "-o", tmp_path / "q").code == 0
    for path, engine in ((folder, "float"), (tmp_path / "q", "golden")):
        found = hardloom("sample", path, "--engine", engine, *run, "--set", "stop_at_eos=0", "--json")
        tokens = json.loads(found.out)["tokens"]
        sequence = [3, 1, 4, *tokens]
        hardloom("logits", path, "--engine", engine, "--tokens", ",".join(map(str, sequence)), "-o", tmp_path / "l.npy")
        assert np.load(tmp_path / "l.npy").argmax(-1)[2:-1].tolist() == tokens
    refused = hardloom("sample", folder, "--engine", "float", *run, "--sampler", "threshold")
    assert refused.code == 1 and "a causal model sees none; give left_to_right" in refused.err


def test_the_trace_says_what_each_step_writes_and_tokens_a_step():
    found = sampled("--sampler", "left_to_right")
    assert [one["positions"] for one in found["trace"]] == [[6], [7], [8], [9]]
    assert [one["tokens"] for one in found["trace"]] == [[1], [3], [2], [45]]
    assert all(0.9 < chance <= 1 for one in found["trace"] for chance in one["confidence"])
    assert (found["steps"], found["tokens_per_step"]) == (4, 1.0)
    printed = hardloom(*PROMPT, "--sampler", "left_to_right", "--trace").out
    assert printed.startswith("132\n") and "4 steps, 1.0 tokens a step" in printed and "[9]=45 1.000" in printed


def test_a_file_is_a_sampler(tmp_path: Path):
    file = tmp_path / "mine.sampler"
    file.write_text(
        '"""All at once."""\nblock(prompt_length, positions)\npredict(masked)\n'
        "for p in in_order(masked):\n    token[p] = guess[p]\n"
    )
    found = sampled("--sampler", file)
    assert found["steps"] == 1 and found["tokens_per_step"] == 16.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler", "greedy"], "--sampler: 'greedy' is not known; choose one of llada,"),
        (["--sampler", "no/such.sampler"], "no/such.sampler: cannot be read (No such file or directory)"),
        (["--sampler", "threshold", "--steps", 4], "sampler threshold: there is no parameter steps; there are"),
        (["--set", "steps"], "--set: 'steps' is not NAME=VALUE"),
        (["--steps", 8, "--set", "steps=8"], "--set: 'steps=8' gives steps a second time; give each parameter once"),
        (["--set", "=3"], "--set: '=3' is not NAME=VALUE"),
        (["--set", "seed=4294967296"], "seed is 4294967296; give an integer from 0 to 4294967295"),
        (
            ["--set", "temperature=1e-9"],
            "sampler llada: temperature is 1e-09, too little to tell; give 0, or 0.000244140625 or more",
        ),
        (["--set", "steps=many"], "sampler llada: steps is 'many'; give an integer from 1"),
        (["--set", "steps=99999999999999"], "sampler llada: steps is 99999999999999; give an integer from 1"),
        (["--threshold", 0.5, "--steps", 4], "sampler threshold: there is no parameter steps; there are"),
        (["--set", "credit=16"], "sampler llada: credit is 16.0; give a number from 0, below 16"),
        (["--set", "credit_decay=1.5"], "sampler llada: credit_decay is 1.5; give a number from 0 to 1"),
        (["--threshold", 1.5], "sampler threshold: threshold is 1.5; give a number from 0 to 1"),
        (["--block-length", 3], "sampler llada: gen_length 16 is no multiple of block_length 3; change --gen-length"),
        (
            ["--gen-length", 4, "--block-length", 8],
            "gen_length 4 is no multiple of block_length 8; change --gen-",
        ),
        (["--gen-length", 12], "gen_length 12 is no multiple of block_length 8; change --gen-length or --block-length"),
        (
            ["--steps", 3],
            "steps 3 is not a multiple of the 2 blocks (gen_length / block_length); change --steps",
        ),
        (["--sampler", "levenshtein"], "the model has no delete_token_id; set the parameter that defaults to it"),
        (["--sampler", "levenshtein", "--set", "delete_token=48", "--set", "split_token=1"], "delete_token is 48"),
        (
            ["--sampler", "levenshtein", "--set", "delete_token=47", "--set", "split_token=1"],
            "is the mask, 47; give other",
        ),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments: list[object], message: str):
    ran = hardloom(*PROMPT, *arguments)
    assert ran.code == 1 and ran.err.startswith("error: ") and "\n" not in ran.err
    assert message in ran.err


BLOCKWISE = [name for name in SAMPLERS if "block_length" in {one.name for one in read_sampler(name).parameters}]


@pytest.mark.parametrize("gen_length", [1, 2, 3, 4, 5, 6, 7, 8, 16])
@pytest.mark.parametrize("name", BLOCKWISE)
def test_defaults_suit_few_tokens(name: str, gen_length: int):
    """Fewer than a block are a block of their own."""
    model = shape_of(json.loads((DEMO / "config.json").read_text()))
    edits = {"delete_token": 1, "split_token": 2} if name == "levenshtein" else {}
    given = Sampling.of(name, gen_length, **edits)
    block = {one.name: one.default_text for one in given.source.parameters}["block_length"]
    assert block in ("min(32, max_position_embeddings)", "min(8, gen_length)")
    if "gen_length" in block:
        short = Sampling.of(name, gen_length, block_length=min(8, gen_length), **edits)
        assert given.program(model) == short.program(model)
    assert given.program(model)


@pytest.mark.parametrize("name", ["block_diffusion", "joint_threshold", "levenshtein"])
def test_a_block_longer_than_any_sequence_is_refused(name: str):
    model = shape_of(json.loads((DEMO / "config.json").read_text()))
    edits = {"delete_token": 1, "split_token": 2} if name == "levenshtein" else {}
    longest = model.max_position_embeddings
    assert Sampling.of(name, 8, block_length=longest, **edits).program(model)
    with pytest.raises(
        UserError, match=f"block_length {longest + 1} is longer than the longest sequence, .* {longest}"
    ):
        Sampling.of(name, 8, block_length=longest + 1, **edits).program(model)


def test_few_tokens_are_written_half_a_block_at_a_time():
    found = sampled("--gen-length", 4)
    assert (len(found["tokens"]), found["steps"], found["tokens_per_step"]) == (4, 2, 2.0)


def test_a_default_that_cannot_be_says_what_it_follows_from(tmp_path: Path):
    file = tmp_path / "mine.sampler"
    file.write_text(
        '"""All at once."""\nsteps: count = gen_length // 8\nblock(prompt_length, positions)\npredict(masked)\n'
        "for p in in_order(masked):\n    token[p] = guess[p]\n"
    )
    ran = hardloom(*PROMPT, "--sampler", file, "--gen-length", 4)
    assert (
        ran.code == 1
        and "or change what its default follows from" in ran.err
        and "steps is 0; give an integer from 1 " in ran.err
    )
    assert ran.err.strip().endswith("gen_length // 8")


@pytest.mark.parametrize("engine", ["float", "golden"])
def test_a_seed_decides_what_a_temperature_draws(engine):
    run = ("--engine", engine, "--sampler", "threshold", "--set", "temperature=4")
    once, again, other = (sampled(*run, "--seed", seed) for seed in (7, 7, 8))
    assert once == again and once["tokens"] != other["tokens"]
    assert sampled(*run[:4], "--set", "temperature=0", "--seed", 8) == sampled(*run[:4])


@pytest.mark.parametrize(("value", "why"), [("guidance=1.5", "has no guidance"), ("credit=0.7", "has no credit")])
def test_a_chip_refuses_what_it_does_not_compute_before_anything_is_built(value, why):
    refused = hardloom("sample", DEMO, "--engine", "rtl", "--prompt", "47+85=", "--set", value)
    assert refused.code == 1 and f"the chip {why}; leave it out" in refused.err
    refused = hardloom(*PROMPT, "--set", "temperature=16")
    assert refused.code == 1 and "temperature is 16.0; give a number from 0, below 16" in refused.err


@pytest.mark.slow
def test_samplers_are_measured_with_a_vicinity():
    rows = json.loads(hardloom("bench", "samplers", DEMO, "--prompts", 2, "--vicinity", 2, "--json").out)
    plain, near = {row["sampler"]: row for row in rows[::2]}, {row["sampler"]: row for row in rows[1::2]}
    assert list(near) == [f"{name}, vicinity 2" for name in plain]
    computed = {
        name: (row["positions_per_token"]["golden"], near[f"{name}, vicinity 2"]["positions_per_token"]["golden"])
        for name, row in plain.items()
    }
    assert all(some <= every for every, some in computed.values())
    assert all(some < every for name, (every, some) in computed.items() if name.startswith("llada"))
    refused = hardloom("bench", "samplers", DEMO2, "--prompts", 2, "--vicinity", 2)
    assert refused.code == 1 and "not all positions see each other; leave it out" in refused.err


def test_a_run_without_end_is_told_before_a_chip_is_simulated(tiny_build: Build, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(rtl_engine, "SimulatedChip", lambda *_, **__: pytest.fail("it would take hours"))
    file = tmp_path / "idle.sampler"
    file.write_text('"""Idle."""\nblock(prompt_length, positions)\nwhile any(masked):\n    predict(masked)\n')
    given = ("--prompt-tokens", "5,9", "--gen-length", 4, "--sampler", file)
    for engine in ("golden", "rtl"):
        ran = hardloom("sample", tiny_build.path, "--engine", engine, *given)
        assert ran.code == 1 and "it does not end: pass 3 begins as an earlier one did" in ran.err.splitlines()[-1]
