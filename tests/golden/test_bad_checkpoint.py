"""Checkpoints that are no checkpoints: every bad tensor or index has its one sentence."""

import math
import os
from pathlib import Path

import pytest
import torch

from golden.checkpoints.checkpoint import Checkpoint, expected_tensors
from golden.errors import UserError
from tests.checkpoints import (
    edit_index,
    edit_json,
    edit_shard,
    holder,
    refusal,
    shards,
    tiny_config,
    write_random_checkpoint,
)

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_random_checkpoint(tmp_path / "checkpoint")


def test_missing_tensor(folder: Path):
    edit_shard(holder(folder, Q_PROJ), {Q_PROJ: None})
    edit_index(folder, **{Q_PROJ: None})
    assert f"1 tensors are missing, the first of them {Q_PROJ}" in refusal(folder)


def test_extra_tensor(tmp_path: Path):
    write_random_checkpoint(tmp_path, shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.9.surplus": torch.zeros(1)})
    assert "do not belong to the model of config.json, the first of them model.layers.9.surplus" in refusal(tmp_path)


def test_expert_bias_in_one_layer_only(tmp_path: Path):
    write_random_checkpoint(tmp_path, shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.0.mlp.expert_bias": torch.zeros(4)})
    assert "the first of them model.layers.1.mlp.expert_bias" in refusal(tmp_path)


def test_expert_bias_under_both_names_at_once(tmp_path: Path):
    write_random_checkpoint(tmp_path, tiny_config(has_expert_bias=True), shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.0.mlp.gate.expert_bias": torch.zeros(4)})
    assert "are the same bias" in refusal(tmp_path)


def test_wrong_shape(folder: Path):
    edit_shard(holder(folder, Q_PROJ), {Q_PROJ: torch.zeros(40, 41, dtype=torch.bfloat16)})
    assert f"{Q_PROJ} has shape [40, 41] where config.json makes it [40, 40]" in refusal(folder)


@pytest.mark.parametrize(("dtype", "name"), [(torch.int64, "I64"), (torch.uint8, "U8"), (torch.float64, "F64")])
def test_wrong_dtype(folder: Path, dtype: torch.dtype, name: str):
    edit_shard(holder(folder, Q_PROJ), {Q_PROJ: torch.zeros(40, 40, dtype=dtype)})
    message = refusal(folder)
    assert f"{Q_PROJ} has dtype {name}" in message
    assert holder(folder, Q_PROJ).name in message


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_truncated_shard(folder: Path, kept: int):
    shard = shards(folder)[1]
    os.truncate(shard, kept if kept >= 0 else shard.stat().st_size + kept)
    message = refusal(folder)
    assert "truncated" in message
    assert shard.name in message


def test_shard_that_is_something_else(folder: Path):
    shards(folder)[0].write_bytes((4).to_bytes(8, "little") + b"[42]")
    assert "header is not a JSON object" in refusal(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [Q_PROJ, "model.norm.weight"])
def test_nan_and_infinity_are_named_when_the_tensor_is_read(tmp_path: Path, name: str, value: float):
    tensor = torch.zeros(expected_tensors(tiny_config())[name], dtype=torch.bfloat16)
    tensor.view(-1)[-1] = value
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path, replace={name: tensor}))
    checkpoint.tensor("lm_head.weight")
    with pytest.raises(UserError, match=f"safetensors: tensor {name} holds NaN or infinity"):
        checkpoint.tensor(name)
    with pytest.raises(UserError, match=f"tensor {name} holds NaN or infinity"):
        list(checkpoint.scan())


def test_index_that_names_a_missing_shard(folder: Path):
    shards(folder)[1].unlink()
    assert "names the shard model-00002-of-00002.safetensors, which does not exist" in refusal(folder)


def test_tensor_in_two_shards(folder: Path):
    other = next(shard for shard in shards(folder) if shard != holder(folder, Q_PROJ))
    edit_shard(other, {Q_PROJ: torch.zeros(40, 40, dtype=torch.bfloat16)})
    assert f"tensor {Q_PROJ} is in {shards(folder)[0].name} too" in refusal(folder)


def test_index_that_places_a_tensor_in_the_wrong_shard(folder: Path):
    right = holder(folder, Q_PROJ).name
    wrong = next(shard.name for shard in shards(folder) if shard.name != right)
    edit_index(folder, **{Q_PROJ: wrong})
    assert f"places tensor {Q_PROJ} in {wrong}, but it is in {right}" in refusal(folder)


def test_index_that_forgets_a_tensor(folder: Path):
    edit_index(folder, **{Q_PROJ: None})
    assert f"places tensor {Q_PROJ} in no shard" in refusal(folder)


def test_index_that_lists_what_no_shard_holds(folder: Path):
    edit_index(folder, absent=shards(folder)[0].name)
    assert "tensor absent in model-00001-of-00002.safetensors, but it is in no shard" in refusal(folder)


@pytest.mark.parametrize("weight_map", [..., [1], {"x": 3}, {"x": "../elsewhere.safetensors"}])
def test_index_without_a_usable_weight_map(folder: Path, weight_map: object):
    edit_json(folder / "model.safetensors.index.json", weight_map=weight_map)
    assert "weight_map is missing or does not map tensors to file names" in refusal(folder)


def test_index_that_is_no_json(folder: Path):
    (folder / "model.safetensors.index.json").write_text("{")
    assert "not valid JSON" in refusal(folder)


def test_folder_without_weights(folder: Path):
    for path in folder.glob("model*"):
        path.unlink()
    assert "holds neither model.safetensors.index.json nor model.safetensors" in refusal(folder)
