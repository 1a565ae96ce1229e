"""What saturates is counted, by site, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hardloom.flows.chips.verify_simulation import saturation_outcome
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.saturations import Watch
from hardloom.verif.chip.simulation import Run
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.command_line import hardloom
from tests.samplers import by_quota

NARROW = replace(Numerics(), word=FixedPoint(16, 14), score=FixedPoint(12, 11))
TOKENS = torch.randint(23, (2, 9), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quantized with a word that holds half of what the model needs."""
    path = tmp_path_factory.mktemp("narrow")
    config = tiny_config(hidden_size=32, expert_intermediate_size=32, moe_router_enable_expert_bias=True)
    write_random_checkpoint(path / "c", config, seed=5)
    quantize_checkpoint(path / "c", path / "q", "mxfp4", numerics=NARROW)
    return path / "q"


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64])
def test_each_element_outside_a_word_counts_once(dtype: torch.dtype) -> None:
    counts: dict[str, int] = {}
    word = Watch("layer.3.", counts)(FIXED, "o")
    x = torch.tensor([FIXED.max, FIXED.min, FIXED.max + 1, FIXED.min - 1, 0, 1 << 40], dtype=dtype)
    word.saturate(x)
    assert counts == {"layer.3.o": 3}
    word.round(x * 4, 2)
    assert counts == {"layer.3.o": 6}
    word.round(torch.tensor([FIXED.max * 4 + 1, FIXED.max * 4 + 2], dtype=dtype), 2)  # half a unit above rounds up
    assert counts == {"layer.3.o": 7}
    assert word == Watch("", counts)(FIXED, "q") and Watch()(FIXED, "o") is FIXED


def test_a_model_counts_at_its_sites_and_only_if_asked(folder: Path) -> None:
    plain, watched = (IntegerModel(QuantizedCheckpoint(folder), watched=watch) for watch in (False, True))
    seen: dict[str, Tensor] = {}
    assert torch.equal(plain.forward(TOKENS), watched.forward(TOKENS, seen.__setitem__))
    assert plain.saturations == {}
    once = dict(watched.saturations)
    words = {name: NARROW.score if name.endswith("scores") else NARROW.word for name in seen}
    at_ends = {name: int(((x == words[name].min) | (x == words[name].max)).sum()) for name, x in seen.items()}
    assert once["layer.1.attention.residual"] == at_ends["layer.1.attention.residual"] > 0
    assert once["layer.1.residual"] == at_ends["layer.1.residual"] > 0
    assert once["layer.0.attention.scores"] == at_ends["layer.0.attention.scores"] > 0
    assert once["layer.0.gate_proj"] + once["layer.0.up_proj"] == at_ends["layer.0.expert.gate_up"] > 0
    watched.forward(TOKENS)
    assert watched.saturations == {site: 2 * count for site, count in once.items()}


def test_nothing_saturates_in_the_default_word(tiny_quantized: list[Path]) -> None:
    model = IntegerModel(QuantizedCheckpoint(tiny_quantized[0]), watched=True)
    model.predict(torch.randint(17, (2, 9)))
    assert model.saturations == {}


def test_sample_reports_what_saturates_and_fails_where_calibration_promised_none(folder: Path, tmp_path: Path) -> None:
    arguments = ["--prompt-tokens", "1,2,3", "--gen-length", "4", "--block-length", "4", "--steps", "2"]
    found = hardloom("sample", folder, *arguments)
    assert found.code == 0 and "did not fit their word" in found.err and "hardloom calibrate" in found.err
    quantize_checkpoint(folder.parent / "c", tmp_path / "q", "mxfp4", numerics=NARROW, calibration={"tokens": 9})
    promised = hardloom("sample", tmp_path / "q", *arguments)
    assert promised.code != 0 and promised.out == found.out and "its calibration promised none" in promised.err
    for path, code, message in (
        (folder, 0, "finds a contract"),
        (tmp_path / "q", 1, "its calibration promised none"),
    ):
        ran = hardloom("logits", path, "--tokens", "1,2,3", "-o", tmp_path / f"{code}.npy")
        assert ran.code == code and "did not fit their word" in ran.err and message in ran.err
    assert (tmp_path / "0.npy").read_bytes() == (tmp_path / "1.npy").read_bytes()


def test_verify_fails_for_what_saturates_where_calibration_promised_none(folder: Path, tmp_path: Path) -> None:
    quantize_checkpoint(folder.parent / "c", tmp_path / "q", "mxfp4", numerics=NARROW, calibration={"tokens": 9})
    runs = [Run([1], by_quota(1, 1, 1)), Run([2], by_quota(1, 1, 1))]
    for path, promised in ((folder, False), (tmp_path / "q", True)):
        checkpoint = QuantizedCheckpoint(path)
        model = IntegerModel(checkpoint, watched=True)
        fits = saturation_outcome(checkpoint, model, runs)
        assert fits.failure is None and fits.detail == "no value saturated; 0 sums by the chip's count"
        runs[1].saturations = 5
        of_chip = saturation_outcome(checkpoint, model, runs)
        assert "5 values did not fit their word" in of_chip.detail
        model.forward(TOKENS)
        of_model = saturation_outcome(checkpoint, model, runs)
        for outcome in (of_chip, of_model):
            assert ("its calibration promised none" in (outcome.failure or "")) == promised
        runs[1].saturations = 0
