"""The commands on checkpoints: what they print, and that a mistake is one sentence."""

import json
import math
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config
from hardloom.gen.build.folder import Build
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import PRESETS, read_preset
from hardloom.golden.checkpoints.synthetic import reduced
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QUANTIZATION, TENSORS
from tests import ROOT
from tests.checkpoints import published_config, tiny_config, write_random_checkpoint
from tests.command_line import hardloom


def test_info_counts_the_published_model_from_its_config_alone(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(published_config()))
    ran = hardloom("info", tmp_path)
    assert ran.code == 0
    assert "7.36 B total, 1.40 B active a token" in ran.out
    assert "none read: the counts follow from config.json alone" in ran.out
    ran = hardloom("info", tmp_path, "--config-only", "--json")
    report = json.loads(ran.out)
    assert report["parameters"] == {"total": 7_356_880_896, "active": 1_397_825_536}
    assert report["kinds"]["expert up"] == {
        "count": 1024,
        "shapes": [[1024, 2048]],
        "parameters": 2**31,
        "active": 2**28,
    }


def test_info_reads_every_weight_unless_told_otherwise(tmp_path: Path):
    bad = {"lm_head.weight": torch.full((23, 40), math.nan, dtype=torch.bfloat16)}
    write_random_checkpoint(tmp_path, replace=bad)
    ran = hardloom("info", tmp_path)
    assert ran.err.startswith("error: ")
    assert "lm_head.weight holds NaN" in ran.err
    ran = hardloom("info", tmp_path, "--no-scan")
    assert ran.code == 0
    assert "BF16, headers read only" in ran.out


def test_quantize_then_info_from_the_command_line(tmp_path: Path):
    source = write_random_checkpoint(tmp_path / "source", tiny_config(moe_router_enable_expert_bias=True))
    ran = hardloom("quantize", source, "-o", tmp_path / "out", "--format", "int4", "--json")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert set(report["formats"].values()) == {"int4"}
    assert report["kinds"]["expert up"]["matrices"] == 8
    assert report["kinds"]["expert up"]["weights"] == 8 * 33 * 40
    worst = min(row["snr_db"] for name, row in report["matrices"].items() if "up_proj" in name)
    assert report["kinds"]["expert up"]["lowest_snr_db"] == worst
    ran = hardloom("info", tmp_path / "out")
    assert ran.code == 0
    assert "int4, every value read and finite" in ran.out
    assert "expert bias" in ran.out


def test_quantize_alone_takes_what_suits_any_model(tmp_path: Path):
    source = write_random_checkpoint(tmp_path / "source")
    ran = hardloom("quantize", source, "-o", tmp_path / "out")
    assert ran.code == 0 and "expert up" in ran.out
    report = json.loads((tmp_path / "out" / "quantization.json").read_text())
    few, many = dict.fromkeys(("gate", "up", "down"), "mxfp4"), dict.fromkeys(("router", "head", "embedding"), "int8")
    assert report["formats"] == few | many | dict.fromkeys("qkvo", "mxfp6_e2m3")
    assert report["numerics"]["word"] == {"width": 28, "frac": 10} and report["numerics"]["gains"] == "behind"
    assert report["numerics"]["activations"] == dict.fromkeys(("query", "key", "value", "mix"), 8) | {
        "norm": 10,
        "swiglu": 10,
    }
    ran = hardloom("quantize", source, "-o", tmp_path / "out", "--formats", "q=int4", "--json")
    assert json.loads(ran.out)["formats"] == report["formats"] | {"q": "int4"}


def test_a_checkpoint_is_sampled_as_quantize_alone_would_have_it(tmp_path: Path):
    source = write_random_checkpoint(tmp_path / "source")
    assert hardloom("quantize", source, "-o", tmp_path / "out").code == 0
    for number, folder in enumerate((source, tmp_path / "out")):
        assert hardloom("logits", folder, "--tokens", "5,9,2", "-o", tmp_path / f"{number}.npy").code == 0
    assert (tmp_path / "0.npy").read_bytes() == (tmp_path / "1.npy").read_bytes()
    quantize_checkpoint(source, tmp_path / "library")
    for name in (TENSORS, QUANTIZATION):
        assert (tmp_path / "library" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_formats_of_kinds_from_the_command_line(tmp_path: Path):
    source, out = write_random_checkpoint(tmp_path / "source"), tmp_path / "out"
    ran = hardloom("quantize", source, "-o", out, "--format", "int4", "--formats", "head=int8,down=mxfp6", "--json")
    formats = json.loads(ran.out)["formats"]
    assert (formats["head"], formats["down"], formats["q"]) == ("int8", "mxfp6_e2m3", "int4")
    assert "int4, down mxfp6_e2m3, head int8, every value read" in " ".join(hardloom("info", out).out.split())
    for wrong in ("head", "=int8", "head=", "head=int8,head=int4", "head=int8,"):
        ran = hardloom("quantize", source, "-o", out, "--formats", wrong)
        assert ran.code == 1
        assert "is not KIND=FORMAT, each kind once; write it like head=int8,down=mxfp6" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "nowhere"], "error: nowhere/config.json: the file does not exist"),
        (["quantize", "nowhere", "-o", "out"], "error: nowhere/config.json: the file does not exist"),
        (
            ["quantize", str(ROOT / "checkpoints" / "demo"), "-o", "out", "--format", "fp3"],
            "error: format 'fp3' is not known",
        ),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, monkeypatch, arguments: list[str], message: str):
    monkeypatch.chdir(tmp_path)
    ran = hardloom(*arguments)
    assert ran.err.startswith(message)
    assert ran.out == ""


def test_version():
    ran = hardloom("--version")
    assert (ran.code, ran.out) == (0, f"hardloom {version('hardloom')}\n")


def test_info_of_a_build_shows_its_hardware_and_what_the_cycle_model_says(tiny_build: Build):
    ran = hardloom("info", tiny_build.path, "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["hardware"] == tiny_build.hardware.to_json_dict()
    assert sum(kind["count"] for kind in found["arrays"]) == len(tiny_build.arrays)
    speed = found["throughput"]
    assert speed["positions"] == speed["positions_per_step"] == tiny_build.hardware.max_positions
    assert speed["tokens_per_s"] == pytest.approx(0.67e9 / speed["cycles_per_step"] * speed["tokens_per_forward"])
    slots = tiny_build.hardware.sequences
    shown = " ".join(hardloom("info", tiny_build.path).out.split())
    assert f"sequences │ {slots} │" in shown and "tokens/s at 0.67 GHz" in shown


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", PRESETS)
def test_every_published_model_is_made_up_with_few_layers_and_read_again(name: str, layers: int, tmp_path: Path):
    small = ("--experts", 2, "--vocabulary", 50)
    ran = hardloom("make-checkpoint", "--like", name, "--layers", layers, *small, "--virtual", "-o", tmp_path / "c")
    if name == "gpt-oss-120b":
        assert ran.code == 1 and "its tensors are not known" in ran.err and not (tmp_path / "c").exists()
        (tmp_path / "config.json").write_text(json.dumps(reduced(read_preset(name), layers, None, None)))
        assert hardloom("info", tmp_path, "--config-only").code == 0
        return
    assert ran.code == 0, ran.err
    ran = hardloom("info", tmp_path / "c", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    whole = shape_of(reduced(read_preset(name), layers, 2, 50))
    assert report["parameters"]["total"] == sum(tensor.elements for tensor in whole.tensors())
    assert report["kinds"]["q"]["count"] == layers


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "gpt-oss-120b"])
def test_a_published_model_of_few_layers_is_one_that_generate_takes(name: str, layers: int):
    """What `bench whole --like NAME --layers N` asks before it begins."""
    hardware_config(shape_of(reduced(read_preset(name), layers, None, None)), HardwareOptions(None))
