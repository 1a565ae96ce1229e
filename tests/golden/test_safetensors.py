"""Safetensors files: read wherever a tensor lies, written in pieces, never half."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hardloom.golden.checkpoints.safetensors_stream import SafetensorsReader, SafetensorsWriter
from hardloom.golden.errors import UserError


def test_a_tensor_at_an_odd_offset_is_read(tmp_path: Path):
    data = torch.arange(5, dtype=torch.bfloat16)
    header = json.dumps({"x": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}).encode()
    header += b" " * (1 - len(header) % 2)
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data.view(torch.uint8).numpy().tobytes())
    assert torch.equal(SafetensorsReader(path).tensor("x"), data)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "BF16", "shape": [3], "data_offsets": [0, 4]},
        {"dtype": "BF16", "shape": [3], "data_offsets": [6, 0]},
        {"dtype": "BF16", "shape": [3]},
        {"dtype": "BF16", "shape": "three", "data_offsets": [0, 6]},
        7,
    ],
)
def test_header_that_contradicts_itself(tmp_path: Path, entry: object):
    header = json.dumps({"x": entry}).encode()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 6)
    with pytest.raises(UserError, match=r"bad\.safetensors: the header's entry of tensor x makes no sense"):
        SafetensorsReader(path)


def test_pieces_may_come_in_any_order_across_tensors(tmp_path: Path):
    tensors = {"codes": torch.arange(15, dtype=torch.uint8).view(3, 5), "scales": torch.randn(3, 1)}
    path = tmp_path / "pieces.safetensors"
    with SafetensorsWriter(path, {name: (t.dtype, tuple(t.shape)) for name, t in tensors.items()}) as writer:
        for row in range(3):
            for name, tensor in tensors.items():
                writer.write(name, tensor[row])
    assert {name: tensor.tolist() for name, tensor in load_file(path).items()} == {
        name: tensor.tolist() for name, tensor in tensors.items()
    }


def test_an_incomplete_file_never_takes_its_name(tmp_path: Path):
    kinds = {"x": (torch.uint8, (2,))}
    with pytest.raises(ValueError, match="1 tensors incomplete"), SafetensorsWriter(tmp_path / "x", kinds) as writer:
        writer.write("x", torch.zeros(1, dtype=torch.uint8))
    with pytest.raises(ValueError, match="more elements"), SafetensorsWriter(tmp_path / "x", kinds) as writer:
        writer.write("x", torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"x is torch\.uint8"), SafetensorsWriter(tmp_path / "x", kinds) as writer:
        writer.write("x", torch.zeros(2))
    assert list(tmp_path.iterdir()) == []
