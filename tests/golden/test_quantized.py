"""Reading a quantized checkpoint: whatever it cannot be is refused by name."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hardloom.golden.errors import UserError
from hardloom.golden.quantization.formats import QuantizedMatrix
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from tests.checkpoints import edit_json, write_random_checkpoint

KINDS = ("embedding", "q", "k", "v", "o", "router", "gate", "up", "down", "head")
Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        list(QuantizedCheckpoint(folder).scan())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(folder: Path, changes: dict[str, torch.Tensor | None]) -> None:
    path = folder / "quantized.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()} | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def test_is_quantized_tells_folders_apart(quantized: Path, source: Path):
    assert QuantizedCheckpoint.is_quantized(quantized)
    assert not QuantizedCheckpoint.is_quantized(source)
    assert "is no quantized folder; make one with `hardloom quantize`" in refusal(source)


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (..., "formats must name one of each of embedding, q, k, v, o, router, gate, up, down, head, and no other"),
        ("mxfp4", "formats must name one of each of embedding, "),
        ({"q": "mxfp4"}, "formats must name one of each of embedding, "),
        (dict.fromkeys(KINDS, "fp3"), "formats: embedding is 'fp3', not one of mxfp4, "),
        (dict.fromkeys(KINDS, "mxfp6"), "formats: embedding is 'mxfp6', not one of mxfp4, "),
        (dict.fromkeys(KINDS, "mxfp4") | {"up": []}, "formats: up is [], not one of mxfp4, "),
    ],
)
def test_formats_that_a_folder_cannot_have(quantized: Path, formats: object, message: str):
    edit_json(quantized / "quantization.json", formats=formats, format="mxfp4")
    assert refusal(quantized).startswith(f"{quantized / 'quantization.json'}: {message}")
    assert refusal(quantized).endswith("; quantize again")


def test_format_that_the_tensors_do_not_have(quantized: Path):
    formats = dict.fromkeys(KINDS, "mxfp4")
    edit_json(quantized / "quantization.json", formats=formats | {"head": "int4"})
    assert "is U8 [23, 2] where config.json and quantization.json make it BF16 [23]" in refusal(quantized)
    edit_json(quantized / "quantization.json", formats=formats | {"down": "mxfp6_e3m2"})
    assert (
        "down_proj.weight.codes is U8 [40, 17] where config.json and quantization.json make it U8 [40, 25]"
        in refusal(quantized)
    )


def test_missing_and_extra_quantized_tensors(quantized: Path):
    edit(quantized, {"surplus": torch.zeros(1)})
    assert "the first of them surplus" in refusal(quantized)
    edit(quantized, {Q_PROJ + ".codes": None})
    assert f"1 tensors are missing, the first of them {Q_PROJ}.codes" in refusal(quantized)


def test_quantized_tensor_of_wrong_shape(quantized: Path):
    edit(quantized, {Q_PROJ + ".codes": torch.zeros(40, 40, dtype=torch.uint8)})
    assert f"tensor {Q_PROJ}.codes is U8 [40, 40]" in refusal(quantized)


def test_scale_that_is_nan(quantized: Path):
    edit(quantized, {Q_PROJ + ".scales": torch.full((40, 2), 255, dtype=torch.uint8)})
    assert f"matrix {Q_PROJ}: a block scale is NaN (255); quantize again" in refusal(quantized)


@pytest.mark.parametrize(
    ("format", "part", "value", "message"),
    [
        ("int4", ".codes", torch.tensor(0x80, dtype=torch.uint8), "a code lies outside -7..7"),
        ("ternary", ".codes", torch.tensor(0x02, dtype=torch.uint8), "a code lies outside -1..1"),
        ("int4", ".scales", torch.tensor(-1.0), "a row scale is negative or not finite"),
        ("int4", ".scales", torch.tensor(math.nan), "a row scale is negative or not finite"),
        ("ternary", ".scales", torch.tensor(0.0), "a row that is not zero has scale 0"),
    ],
)
def test_invalid_rows(tmp_path: Path, source: Path, format: str, part: str, value: torch.Tensor, message: str):
    quantize_checkpoint(source, tmp_path / "out", format, numerics=Numerics())
    tensor = load_file(tmp_path / "out" / "quantized.safetensors")[Q_PROJ + part].clone()
    tensor[5] = value
    edit(tmp_path / "out", {Q_PROJ + part: tensor})
    assert f"matrix {Q_PROJ}: {message}; quantize again" in refusal(tmp_path / "out")


def test_vector_that_is_not_finite(quantized: Path):
    name = "model.layers.1.self_attn.k_norm.weight"
    edit(quantized, {name: torch.full((20,), math.inf)})
    assert f"tensor {name} holds NaN or infinity" in refusal(quantized)


def test_a_spread_too_wide_for_an_array_names_the_matrix(tmp_path: Path):
    matrix = torch.ones(40, 40)
    matrix[7, 32:] = 2.0**-20
    name = "model.layers.0.self_attn.o_proj.weight"
    source = write_random_checkpoint(tmp_path / "source", replace={name: matrix})
    quantize_checkpoint(source, tmp_path / "out", "mxfp4", numerics=Numerics())
    read: QuantizedMatrix = QuantizedCheckpoint(tmp_path / "out").matrix(name)
    with pytest.raises(UserError, match=f"{name}: row 7 has block exponents that spread by 20"):
        read.integers()
