"""The commands that make and check builds: what they print, what they refuse, and that a mistake is one sentence."""

import errno
import json
import os

import jinja2
import pytest

from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config, parse_slices, parse_style
from hardloom.flows.cli.app import app
from hardloom.gen.design.hardware import DEFAULT_SLICES, HardwareConfig
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.folders import MARK
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.command_line import hardloom

CONFIG = tiny_config(hidden_size=32, num_hidden_layers=1, num_experts=3, expert_intermediate_size=32)
MODEL = shape_of(CONFIG)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """Two quantized checkpoints of one geometry."""
    folder = tmp_path_factory.mktemp("quantized")
    for seed in (0, 1):
        write_random_checkpoint(folder / f"ckpt{seed}", CONFIG, seed=seed)
        quantize_checkpoint(folder / f"ckpt{seed}", folder / str(seed), "mxfp4", numerics=Numerics())
    return folder


@pytest.fixture(scope="module")
def builds(quantized, tmp_path_factory):
    """A build of each."""
    from hardloom.gen.build.generate import build_chip
    from hardloom.golden.quantization.quantized import QuantizedCheckpoint

    folder = tmp_path_factory.mktemp("builds")
    for seed in ("0", "1"):
        checkpoint = QuantizedCheckpoint(quantized / seed)
        build_chip(checkpoint, folder / seed, hardware_config(MODEL, HardwareOptions(max_positions=16)))
    return folder


def test_generate_reports_every_kind_of_array(quantized, builds):
    ran = hardloom("generate", quantized / "0", "-o", builds / "0", "--max-positions", 16, "--json")
    figures = json.loads(ran.out)
    h, m, experts, vocabulary = 32, 32, 3, 23
    weights = {"qkv": 3 * h * h, "o": h * h, "router": experts * h, "gate_up": 2 * experts * m * h}
    weights |= {"down": experts * m * h, "head": vocabulary * h}
    assert ran.code == 0
    assert {kind: row["weights"] for kind, row in figures["arrays"].items()} == weights
    assert figures["weights_hardwired"] == sum(weights.values()) + vocabulary * h
    assert figures["bytes"] == sum(
        f.stat().st_size for f in (builds / "0").rglob("*") if f.is_file() and f.name not in ("manifest.json", MARK)
    )


def test_verify_static_recovers_every_weight(builds):
    ran = hardloom("verify", builds / "0", "--static", "--json")
    figures = json.loads(ran.out)
    assert ran.code == 0
    assert figures["matching"] == figures["weights"] == 32 * (4 * 32 + 3 + 3 * 3 * 32 + 2 * 23)
    assert figures["matching_constants"] == figures["constants"] > 0


def test_verify_against_counts_the_wires_that_change(builds):
    ran = hardloom("verify", builds / "0", "--against", builds / "1", "--json")
    figures = json.loads(ran.out)
    assert ran.code == 0
    assert figures["same_prefab"] and figures["prefab_different"] == []
    assert 0 < figures["wires_changed"] < figures["wires"]
    ran = hardloom("verify", builds / "0", "--against", builds / "0", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["wires_changed"] == json.loads(ran.out)["connections_different"] == 0


def test_options_go_before_the_hardware_file_and_the_file_before_the_defaults(tmp_path):
    file = tmp_path / "hardware.json"
    file.write_text('{"lanes": 2, "max_positions": 20, "slices": {"o": 8}}')
    hardware = hardware_config(MODEL, HardwareOptions(file, max_positions=24, slices=parse_slices("gate_up=4,down=1")))
    assert (hardware.lanes, hardware.max_positions) == (2, 24)
    assert hardware.slices == {"qkv": 1, "o": 8, "router": 2, "gate_up": 4, "down": 1, "head": 2}


def test_a_style_is_for_all_kinds_of_array_or_by_kind(tmp_path):
    file = tmp_path / "hardware.json"
    file.write_text('{"style": "packed"}')
    assert set(hardware_config(MODEL, HardwareOptions(file)).style.values()) == {"packed"}
    mixed = hardware_config(MODEL, HardwareOptions(file, style=parse_style("qkv=rom,head=cell")))
    assert mixed.style == dict.fromkeys(DEFAULT_SLICES, "packed") | {"qkv": "rom", "head": "cell"}
    assert HardwareConfig.from_json_dict(mixed.to_json_dict()) == mixed
    assert set(hardware_config(MODEL, HardwareOptions(file, style=parse_style("metal"))).style.values()) == {"metal"}


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('{"lane": 2}', "'lane'"),
        ('{"lanes": "two"}', "lanes"),
        ('{"slices": 4}', "slices"),
        ('{"style": 4}', "style"),
        ("[]", "object"),
    ],
)
def test_a_hardware_file_that_makes_no_sense_is_refused(tmp_path, text, sentence):
    file = tmp_path / "hardware.json"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        hardware_config(MODEL, HardwareOptions(file))


@pytest.mark.parametrize("text", ["gate=4", "gate_up", "down=x", "down=-1", ""])
def test_slices_that_make_no_sense_are_refused(text):
    with pytest.raises(UserError, match="--slices"):
        parse_slices(text)


@pytest.mark.parametrize("text", ["gate=rom", "gate_up=", "=rom"])
def test_styles_that_make_no_sense_are_refused(text):
    with pytest.raises(UserError, match="--style"):
        parse_style(text)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("generate", "{q}/ckpt0", "-o", "{tmp}/b"), "hardloom quantize"),
        (("generate", "{q}/none", "-o", "{tmp}/b"), "no quantized folder"),
        (("generate", "{q}/0", "-o", "{tmp}/b", "--hardware", "{tmp}/none.json"), "--hardware"),
        (("generate", "{q}/0", "-o", "{tmp}/b", "--lanes", "7"), "lanes"),
        (("generate", "{q}/0", "-o", "{tmp}/b", "--style", "rom"), "slices.qkv: style rom: 32 inputs a cycle"),
        (("generate", "{q}/0", "-o", "{q}"), "no build of ours"),
        (("verify", "{q}/0"), "--static"),
        (("verify", "{q}/0", "--static"), "hardloom generate"),
        (("verify", "{q}/0", "--static", "--view", "table"), "--view: goes with --sim"),
        (("verify", "{q}/0", "--sim", "--tiles", "1", "--view", "table"), "without --tiles"),
        (("bench", "accuracy", "{q}/ckpt0"), "tokenizer"),
        (("bench", "chip", "{tmp}"), "hardloom generate"),
        (("demo", "{q}/ckpt0", "--out", "{tmp}/d"), "tokenizer"),
    ],
)
def test_a_mistake_is_one_sentence(quantized, tmp_path, arguments, sentence):
    ran = hardloom(*(a.format(q=quantized, tmp=tmp_path) for a in arguments))
    assert ran.code in (1, 2)
    assert ran.err.startswith("error: ") and sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1 and ran.out == ""


def test_an_error_of_the_file_system_is_one_sentence_and_a_fault_of_ours_a_traceback(monkeypatch):
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "build/a.v")

    def broken(**_: object) -> None:
        raise jinja2.TemplateNotFound("neuron.v.j2")

    monkeypatch.setattr("hardloom.flows.cli.app.commands", full)
    assert hardloom().err == "error: build/a.v: No space left on device; check the path, its permissions and space"
    monkeypatch.setattr("hardloom.flows.cli.app.commands", broken)
    with pytest.raises(jinja2.TemplateNotFound):
        app()


@pytest.mark.parametrize(
    "command, sentence",
    [(["generate", "{q}/0", "-o", "{tmp}/b"], "goes on there"), (["info", "{q}/ckpt0"], "run the same command again")],
)
def test_a_command_that_is_interrupted_says_how_to_go_on(quantized, tmp_path, monkeypatch, command, sentence):
    def interrupt(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    for work in ("hardloom.flows.chips.generate.generate", "hardloom.flows.models.info.info"):
        monkeypatch.setattr(work, interrupt)
    ran = hardloom(*(word.format(q=quantized, tmp=tmp_path) for word in command))
    assert ran.code == 130 and ran.out == ""
    assert ran.err.startswith("interrupted: ") and sentence in ran.err and len(ran.err.strip().splitlines()) == 1


def test_a_command_line_that_is_wrong_is_one_sentence_too():
    for words in (["no-such-command"], ["info"], ["info", "x", "--nope"], ["info", "x", "y"]):
        ran = hardloom(*words)
        assert ran.code == 2 and ran.err.startswith("error: ") and len(ran.err.strip().splitlines()) == 1
    assert "Usage" in hardloom().out
