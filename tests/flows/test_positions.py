"""More positions than a model or a chip has are refused, whichever command asks for them; as many are taken."""

import json
from pathlib import Path

import pytest
import torch

import hardloom.flows.bench.timeline as bench_timeline
import hardloom.flows.models.rtl_engine as rtl_engine
from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config
from hardloom.gen.build.folder import Build
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.calibration.sequences import sequences_of
from hardloom.golden.checkpoints.config import read_config
from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ModelShape
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.command_line import Ran, hardloom

MOST = 16


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of `MOST` positions, and what is quantized of it."""
    folder = tmp_path_factory.mktemp("short")
    write_random_checkpoint(folder / "ckpt", tiny_config(max_position_embeddings=MOST), seed=1)
    quantize_checkpoint(folder / "ckpt", folder / "q")
    return folder


@pytest.fixture(scope="module")
def model(short: Path) -> ModelShape:
    return read_config(short / "ckpt" / "config.json")[1]


def asked(command: str, positions: int, short: Path, tmp_path: Path) -> Ran:
    """A command that is asked for so many positions of the model."""
    half, tokens = positions // 2, ",".join(["1"] * positions)
    lengths = ("--prompt-length", half, "--gen-length", positions - half, "--tokens-per-forward", 1)
    options = {
        "logits float": (short / "ckpt", "--engine", "float", "--tokens", tokens, "-o", tmp_path / "l.npy"),
        "logits golden": (short / "q", "--tokens", tokens, "-o", tmp_path / "l.npy"),
        "sample float": (short / "ckpt", "--engine", "float", "--prompt-tokens", tokens[:-16], "--gen-length", 8),
        "sample golden": (short / "q", "--prompt-tokens", tokens[:-16], "--gen-length", 8),
        "sample rtl": (short / "q", "--engine", "rtl", "--prompt-tokens", tokens[:-16], "--gen-length", 8),
        "estimate": (short / "ckpt", *lengths),
        "explore": (short / "ckpt", *lengths, "--tokens-per-second", 1),
        "generate": (short / "q", "-o", tmp_path / "chip", "--max-positions", positions),
    }
    return hardloom(command.split()[0], *options[command])


COMMANDS = ("logits float", "logits golden", "sample float", "sample golden", "estimate", "explore")


@pytest.mark.parametrize("command", [*COMMANDS, "sample rtl", "generate"])
def test_one_position_too_many_is_one_sentence(command: str, short: Path, tmp_path: Path):
    ran = asked(command, MOST + 1, short, tmp_path)
    assert ran.code == 1 and ran.err.startswith("error: ") and len(ran.err.strip().splitlines()) == 1
    assert str(MOST + 1) in ran.err and str(MOST) in ran.err and not [*tmp_path.iterdir()]
    assert "max_position_embeddings" in ran.err or command in ("estimate", "explore")


@pytest.mark.parametrize("command", COMMANDS)
def test_as_many_positions_as_the_model_has_are_taken(command: str, short: Path, tmp_path: Path):
    ran = asked(command, MOST, short, tmp_path)
    assert ran.code == 0, ran.err


def test_hardware_holds_as_many_positions_as_the_model(model: ModelShape, tmp_path: Path):
    assert (
        hardware_config(model, HardwareOptions()).max_positions == HardwareConfig.default(model).max_positions == MOST
    )
    hardware_config(model, HardwareOptions(max_positions=MOST)).check(model)
    (tmp_path / "hardware.json").write_text(json.dumps({"max_positions": MOST + 1}))
    for options in (HardwareOptions(max_positions=MOST + 1), HardwareOptions(tmp_path / "hardware.json")):
        with pytest.raises(UserError, match=r"max_positions: 17 exceeds the model's max_position_embeddings 16"):
            hardware_config(model, options).check(model)


def test_models_compute_no_further_position(short: Path, model: ModelShape):
    tokens = torch.ones(1, MOST + 1, dtype=torch.int64)
    integers = IntegerModel(QuantizedCheckpoint(short / "q"))
    for run in (FloatModel.from_checkpoint(short / "ckpt"), integers.forward, integers.predict):
        run(tokens[:, 1:])
        with pytest.raises(UserError, match="17 positions are more than the model's max_position_embeddings 16"):
            run(tokens)


def test_texts_are_cut_into_sequences_that_the_model_holds(model: ModelShape, tmp_path: Path):
    """For calibration, GPTQ and sensitivity."""
    assert sequences_of([1] * 600, model, tmp_path, 1000).shape == (600 // MOST, MOST)


def test_a_chip_for_a_prompt_is_no_longer_than_the_model(short: Path, tmp_path: Path, monkeypatch):
    depths = []

    def build_chip(quantized: object, folder: object, hardware: HardwareConfig, progress: object):
        depths.append(hardware.max_positions)
        raise KeyboardInterrupt

    monkeypatch.setenv("HARDLOOM_CACHE", str(tmp_path))
    monkeypatch.setattr(rtl_engine, "build_chip", build_chip)
    assert asked("sample rtl", MOST, short, tmp_path).code == 130
    assert depths == [MOST]


def test_a_chip_that_is_too_short_for_a_bench_says_so(tiny_build: Build, monkeypatch):
    tiny_build.check_positions(32)
    monkeypatch.setattr(bench_timeline, "GENERATED", Sampling.of("llada", gen_length=27))
    ran = hardloom("bench", "timeline", tiny_build.path)
    assert ran.code == 1 and "this chip holds 32 positions, 33 are asked for" in ran.err
