"""A checkpoint rounded with care: nearer to the float model, the same when it goes on after a stop."""

from pathlib import Path

import pytest
import torch

from hardloom.golden.calibration.careful import Careful, Rounding
from hardloom.golden.calibration.hessians import LONGEST, Hessian, Hessians
from hardloom.golden.calibration.measured import Source
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.models.dequantized import dequantized_model
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.quantization.pieces import NEAREST, Method
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import TENSORS, QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import write_random_checkpoint

SEQUENCES = torch.randint(0, 21, (30, 24), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("careful") / "ckpt"
    write_random_checkpoint(folder)
    return Checkpoint(folder)


def careful_method(sequences: torch.Tensor, folder: Path) -> Method:
    return Careful(sequences, Source("tokens", "", sequences.numel(), 0), folder).method


def quantized(checkpoint: Checkpoint, out, method, gains: str, formats=()) -> QuantizedCheckpoint:
    quantize_checkpoint(checkpoint.path, out, "mxfp4", Numerics(gains=gains), dict(formats), method=method)
    return QuantizedCheckpoint(out)


@torch.inference_mode()
def error(checkpoint: Checkpoint, rounded: QuantizedCheckpoint) -> float:
    """Squared error of logits on other tokens, over that of a model that says nothing."""
    tokens = torch.randint(0, 21, (20, 24), generator=torch.Generator().manual_seed(9))
    exact = FloatModel.from_checkpoint(checkpoint.path)(tokens)
    return float((dequantized_model(rounded)(tokens) - exact).square().sum() / exact.square().sum())


@pytest.mark.parametrize("gains", ["folded", "behind"])
def test_logits_are_nearer_than_of_weights_rounded_to_nearest(checkpoint, tmp_path, gains):
    careful = quantized(checkpoint, tmp_path / "c", careful_method(SEQUENCES, tmp_path / "c" / "layers"), gains)
    plain = quantized(checkpoint, tmp_path / "n", NEAREST, gains)
    assert error(checkpoint, careful) < 0.8 * error(checkpoint, plain)


def test_a_run_that_was_stopped_goes_on_and_writes_the_same(checkpoint, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    formats = {"head": "int8", "down": "mxfp6"}
    quantized(checkpoint, whole, careful_method(SEQUENCES, whole / "layers"), "behind", formats)
    made: list[int] = []
    work = Hessians.add

    def counted(self, matrix, x):
        made.append(matrix.layer)
        if matrix.layer == 1 and stop:
            raise KeyboardInterrupt
        work(self, matrix, x)

    monkeypatch.setattr(Hessians, "add", counted)
    for stop in (True, False):
        made.clear()
        if stop:
            with pytest.raises(KeyboardInterrupt):
                quantized(checkpoint, stopped, careful_method(SEQUENCES, stopped / "layers"), "behind", formats)
            assert not QuantizedCheckpoint.is_quantized(stopped)
        else:
            quantized(checkpoint, stopped, careful_method(SEQUENCES, stopped / "layers"), "behind", formats)
    assert 0 not in made and 1 in made
    assert (stopped / TENSORS).read_bytes() == (whole / TENSORS).read_bytes()
    made.clear()
    quantized(checkpoint, stopped, careful_method(SEQUENCES[1:], stopped / "layers"), "behind", formats)
    assert 0 in made  # layers of other tokens are not taken


def test_a_layer_whose_hessians_do_not_fit_together_is_rounded_in_parts_to_the_same_bytes(
    checkpoint, tmp_path, monkeypatch
):
    whole, parts, seen = tmp_path / "whole", tmp_path / "parts", []
    quantized(checkpoint, whole, careful_method(SEQUENCES, whole / "layers"), "behind")
    width = checkpoint.model.hidden_size
    monkeypatch.setattr("hardloom.golden.calibration.careful.AT_ONCE", 3 * 4 * width**2)
    made = Rounding.pieces

    def counted(self, hessians, matrices):
        seen.append(sum(hessian.total.nbytes for hessian in hessians.found.values()))
        return made(self, hessians, matrices)

    monkeypatch.setattr(Rounding, "pieces", counted)
    quantized(checkpoint, parts, careful_method(SEQUENCES, parts / "layers"), "behind")
    assert (parts / TENSORS).read_bytes() == (whole / TENSORS).read_bytes()
    assert len(seen) > 2 * len(checkpoint.model.layers) and max(seen) <= 3 * 4 * width**2


def test_matrices_that_few_tokens_reach_are_rounded_to_nearest(checkpoint, tmp_path):
    plain = quantized(checkpoint, tmp_path / "n", NEAREST, "behind")
    few = quantized(checkpoint, tmp_path / "c", careful_method(SEQUENCES[:1, :5], tmp_path / "c" / "layers"), "behind")
    for matrix in checkpoint.model.matrices():
        assert torch.equal(few.matrix(matrix.name).codes, plain.matrix(matrix.name).codes)


def test_long_tokens_enter_a_hessian_shortened():
    x = torch.nn.functional.normalize(torch.randn(9, 6, generator=torch.Generator().manual_seed(0)))
    x[3] *= 1000
    hessian = Hessian(6)
    hessian.add(x)
    x[3] *= LONGEST / 1000
    assert torch.allclose(hessian.total, x.T @ x, rtol=1e-4)
    assert hessian.tokens == 9


@torch.inference_mode()
def test_weights_of_a_quantized_checkpoint_give_the_float_model_that_they_stand_for(checkpoint, tmp_path):
    tokens = SEQUENCES[:4]
    exact = FloatModel.from_checkpoint(checkpoint.path)(tokens)
    for gains in ("folded", "behind"):
        fine = {matrix.short_kind: "int8" for matrix in checkpoint.model.matrices()}
        rounded = dequantized_model(quantized(checkpoint, tmp_path / gains, NEAREST, gains, fine))
        assert float((rounded(tokens) - exact).square().mean() / exact.square().mean()) < 0.002
