"""Quantizing a checkpoint: what is written is the format's rules applied to the folded matrices, and nothing else."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.files import PARTIAL
from hardloom.golden.folders import MARK
from hardloom.golden.quantization.formats import FORMATS, quantize
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import write_random_checkpoint
from tests.matrices import values

KINDS = ("embedding", "q", "k", "v", "o", "router", "gate", "up", "down", "head")
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def folded(checkpoint: Checkpoint, name: str) -> torch.Tensor:
    gain = next(matrix.gain for matrix in checkpoint.model.matrices() if matrix.name == name)
    matrix = checkpoint.tensor(name).float()
    return matrix if gain is None else matrix * checkpoint.tensor(gain).float()


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_matrix_is_the_folded_one_quantized(tmp_path: Path, format: str, dtype: torch.dtype):
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path / "source", dtype=dtype))
    quantize_checkpoint(checkpoint.path, tmp_path / "out", format, numerics=Numerics())
    quantized = QuantizedCheckpoint(tmp_path / "out")
    assert (set(quantized.formats.values()), quantized.config) == ({format}, checkpoint.config)
    for name in (matrix.name for matrix in checkpoint.model.matrices()):
        expected = quantize(folded(checkpoint, name), format)
        assert torch.equal(quantized.matrix(name).codes, expected.codes)
        assert torch.equal(quantized.matrix(name).scales, expected.scales)


def test_kinds_of_matrix_have_formats_of_their_own(tmp_path: Path):
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path / "source"))
    chosen = {"head": "int8", "v": "mxfp6", "down": "mxfp6_e3m2", "embedding": "int4"}
    quantize_checkpoint(checkpoint.path, tmp_path / "out", "mxfp4", formats=chosen, numerics=Numerics())
    quantized = QuantizedCheckpoint(tmp_path / "out")
    assert quantized.formats == dict.fromkeys(KINDS, "mxfp4") | chosen | {"v": "mxfp6_e2m3"}
    for matrix in checkpoint.model.matrices():
        expected = quantize(folded(checkpoint, matrix.name), chosen.get(matrix.short_kind, "mxfp4"))
        found = quantized.matrix(matrix.name)
        assert found.format == quantized.format_of(matrix.name) == expected.format
        assert torch.equal(found.codes, expected.codes)
        assert torch.equal(found.scales, expected.scales)
        assert torch.equal(values(quantized.integers(matrix.name)), expected.dequantize().double())


def test_a_kind_names_the_matrices_of_every_network_of_a_layer():
    model = shape_of(read_preset("llada2.0-mini"))
    assert {matrix.short_kind for matrix in model.matrices()} == set(KINDS)
    down = {matrix.kind for matrix in model.matrices() if matrix.short_kind == "down"}
    assert down == {"down_proj", "dense.down_proj", "shared.down_proj"}


def test_a_kind_that_the_model_does_not_have_is_refused_before_anything_is_written(tmp_path: Path, source: Path):
    with pytest.raises(UserError, match="formats: 'heads' is no kind of matrix of this model; choose from embedding, "):
        quantize_checkpoint(source, tmp_path / "out", "mxfp4", formats={"heads": "int8"}, numerics=Numerics())
    with pytest.raises(UserError, match="format 'fp3' is not known; choose one of mxfp4, "):
        quantize_checkpoint(source, tmp_path / "out", "mxfp4", formats={"head": "fp3"}, numerics=Numerics())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_slices_of_rows_give_what_the_whole_matrix_gives(tmp_path: Path, source: Path, monkeypatch, format: str):
    quantize_checkpoint(source, tmp_path / "whole", format, numerics=Numerics())
    monkeypatch.setattr("hardloom.golden.quantization.pieces.SLICE", 97)
    quantize_checkpoint(source, tmp_path / "sliced", format, numerics=Numerics())
    assert contents(tmp_path / "sliced") == contents(tmp_path / "whole")


def test_vectors_that_fold_nowhere_are_kept_in_float32(quantized: Path, source: Path):
    checkpoint, read = Checkpoint(source), QuantizedCheckpoint(quantized)
    for layer in range(2):
        for name in (f"model.layers.{layer}.self_attn.{n}_norm.weight" for n in "qk"):
            assert torch.equal(read.vector(name), checkpoint.tensor(name).float())
        name = f"model.layers.{layer}.mlp.expert_bias"
        assert torch.equal(read.vector(name), checkpoint.tensor(name).float())
    assert "model.norm.weight" not in load_file(quantized / "quantized.safetensors")


def test_codes_are_packed_two_a_byte(quantized: Path):
    stored, matrix = load_file(quantized / "quantized.safetensors"), QuantizedCheckpoint(quantized).matrix
    name = "model.layers.1.mlp.experts.3.down_proj.weight"
    codes = matrix(name).codes
    assert codes.shape == (40, 33)
    assert stored[name + ".codes"].shape == (40, 17)
    assert torch.equal(stored[name + ".codes"][:, 0], codes[:, 0] | codes[:, 1] << 4)
    assert torch.equal(stored[name + ".codes"][:, 16], codes[:, 32])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, source: Path, format: str):
    (source / "tokenizer.json").write_text('{"version": "1.0"}')
    for out in ("first", "second"):
        quantize_checkpoint(source, tmp_path / out, format, numerics=Numerics())
    quantize_checkpoint(source, tmp_path / "second", format, numerics=Numerics())
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert sorted(contents(tmp_path / "first")) == [
        MARK,
        "config.json",
        "quantization.json",
        "quantized.safetensors",
        "tokenizer.json",
    ]
    assert QuantizedCheckpoint(tmp_path / "first").tokenizer_path.read_text() == '{"version": "1.0"}'


@pytest.mark.parametrize("target", ["nowhere", "tokenizer.json", "/dev/null", "."])
def test_a_tokenizer_that_cannot_be_read_is_not_left_out_silently(source: Path, tmp_path: Path, target: str):
    (source / "tokenizer.json").unlink(missing_ok=True)
    (source / "tokenizer.json").symlink_to(target)
    with pytest.raises(UserError, match=r"source/tokenizer\.json: "):
        quantize_checkpoint(source, tmp_path / "out", "mxfp4", numerics=Numerics())
    with pytest.raises(UserError, match=r"source/tokenizer\.json: "):
        load_tokenizer(source)
    assert not (tmp_path / "out").exists()


def test_sharding_does_not_matter(tmp_path: Path):
    for count in (0, 3):
        write_random_checkpoint(tmp_path / f"source{count}", shards=count)
        quantize_checkpoint(tmp_path / f"source{count}", tmp_path / f"out{count}", "int4", numerics=Numerics())
    assert contents(tmp_path / "out0") == contents(tmp_path / "out3")


# --- statistics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_statistics_describe_the_loss(tmp_path: Path, source: Path, format: str):
    report = quantize_checkpoint(source, tmp_path / "out", format, numerics=Numerics())
    assert report == json.loads((tmp_path / "out" / "quantization.json").read_text())
    assert list(report["matrices"]) == [
        matrix.name for matrix in QuantizedCheckpoint(tmp_path / "out").model.matrices()
    ]
    before = folded(Checkpoint(source), Q_PROJ).double()
    after = QuantizedCheckpoint(tmp_path / "out").matrix(Q_PROJ).dequantize().double()
    row = report["matrices"][Q_PROJ]
    assert row["shape"] == [40, 40]
    assert row["snr_db"] == pytest.approx(10 * math.log10((before**2).sum() / ((before - after) ** 2).sum()), abs=0.006)
    assert row["zero"] == pytest.approx((after == 0).double().mean().item(), abs=1e-6)


def test_saturated_counts_what_lies_beyond_the_largest_code(tmp_path: Path):
    matrix = torch.zeros(40, 40, dtype=torch.bfloat16)
    matrix[0, :4] = torch.tensor([4.0, 6.0, 6.5, -7.0])
    name = "model.layers.0.self_attn.o_proj.weight"
    write_random_checkpoint(tmp_path / "source", replace={name: matrix})
    row = quantize_checkpoint(tmp_path / "source", tmp_path / "out", "mxfp4", numerics=Numerics())["matrices"][name]
    assert (row["saturated"], row["zero"]) == (2 / 1600, 1596 / 1600)


def test_a_matrix_without_loss_has_no_ratio(tmp_path: Path):
    write_random_checkpoint(tmp_path / "source", replace={"model.embed_tokens.weight": torch.ones(23, 40)})
    report = quantize_checkpoint(tmp_path / "source", tmp_path / "out", "mxfp4", numerics=Numerics())
    assert report["matrices"]["model.embed_tokens.weight"]["snr_db"] is None


def test_progress_ends_at_the_number_of_weights(tmp_path: Path, source: Path):
    calls: list[tuple[int, int]] = []
    quantize_checkpoint(
        source, tmp_path / "out", "int4", progress=lambda done, total: calls.append((done, total)), numerics=Numerics()
    )
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (46920 - 280, 46920 - 280)


# --- extreme weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [0.0, 2.0**-133, 2.0**-126, 3e38])
def test_zeros_denormals_and_extremes_are_valid_input(tmp_path: Path, format: str, size: float):
    matrix = torch.zeros(40, 40, dtype=torch.bfloat16)
    matrix[3, ::2] = size
    name = "model.layers.1.self_attn.o_proj.weight"
    write_random_checkpoint(tmp_path / "source", replace={name: matrix})
    quantize_checkpoint(tmp_path / "source", tmp_path / "out", format, numerics=Numerics())
    read = QuantizedCheckpoint(tmp_path / "out").matrix(name)
    assert torch.equal(read.dequantize(), quantize(matrix.float(), format).dequantize())
    assert torch.equal(values(read.integers()), read.dequantize().double())


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_weight_that_is_not_finite_is_refused_and_nothing_stays(tmp_path: Path, value: float):
    matrix = torch.full((23, 40), value, dtype=torch.bfloat16)
    source = write_random_checkpoint(tmp_path / "source", replace={"lm_head.weight": matrix})
    with pytest.raises(UserError, match=r"safetensors: tensor lm_head\.weight holds NaN or infinity"):
        quantize_checkpoint(source, tmp_path / "out", "mxfp4", numerics=Numerics())
    assert list(contents(tmp_path / "out")) == [MARK]


def test_a_gain_that_takes_weights_out_of_range_is_refused(tmp_path: Path):
    large = {"lm_head.weight": (23, 40), "model.norm.weight": (40,)}
    replace = {name: torch.full(shape, 1e20, dtype=torch.bfloat16) for name, shape in large.items()}
    source = write_random_checkpoint(tmp_path / "source", replace=replace)
    with pytest.raises(UserError, match=r"lm_head\.weight times the gain model\.norm\.weight exceeds float32"):
        quantize_checkpoint(source, tmp_path / "out", "mxfp4", numerics=Numerics())


# --- the output folder -----------------------------------------------------------------------------------------------


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path, source: Path):
    for out, file in ((tmp_path / "notes", "notes.txt"), (source, "config.json")):
        out.mkdir(exist_ok=True)
        (out / file).touch()
        before = contents(out)
        with pytest.raises(UserError, match="is not empty and no quantized checkpoint of ours"):
            quantize_checkpoint(source, out, "mxfp4", numerics=Numerics())
        assert contents(out) == before
    with pytest.raises(UserError, match="is a file; name a new folder"):
        quantize_checkpoint(source, tmp_path / "notes" / "notes.txt", "mxfp4", numerics=Numerics())


def test_what_an_interrupted_run_left_is_overwritten(tmp_path: Path, source: Path, quantized: Path):
    quantize_checkpoint(
        write_random_checkpoint(tmp_path / "other", seed=9), tmp_path / "out", "int4", numerics=Numerics()
    )
    (tmp_path / "out" / f"quantized.safetensors{PARTIAL}").write_bytes(b"half")
    (tmp_path / "out" / "quantized.safetensors").write_bytes(b"whole")
    quantize_checkpoint(source, tmp_path / "out", "mxfp4", numerics=Numerics())
    assert contents(tmp_path / "out") == contents(quantized)


def test_overwriting_leaves_no_tokenizer_of_before(tmp_path: Path, source: Path, quantized: Path):
    (quantized / "tokenizer.json").write_text("{}")
    quantize_checkpoint(source, quantized, "int4", numerics=Numerics())
    assert QuantizedCheckpoint(quantized).tokenizer_path is None
    assert set(QuantizedCheckpoint(quantized).formats.values()) == {"int4"}
