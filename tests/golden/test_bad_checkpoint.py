"""Checkpoints that are no checkpoints: every bad tensor or index has its one sentence."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.errors import UserError
from tests.checkpoints import (
    edit_index,
    edit_json,
    edit_shard,
    holder,
    refusal,
    shapes_of,
    shards,
    tiny_config,
    write_random_checkpoint,
)

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


def test_missing_tensor(folder: Path):
    edit_shard(holder(folder, Q_PROJ), {Q_PROJ: None})
    edit_index(folder, **{Q_PROJ: None})
    assert f"1 tensors are missing, the first of them {Q_PROJ}" in refusal(folder)


def test_extra_tensor(tmp_path: Path):
    write_random_checkpoint(tmp_path, shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.9.surplus": torch.zeros(1)})
    assert "do not belong to the model of config.json, the first of them model.layers.9.surplus" in refusal(tmp_path)


def test_expert_bias_in_one_layer_only(tmp_path: Path):
    write_random_checkpoint(tmp_path, tiny_config(moe_router_enable_expert_bias=True), shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.1.mlp.expert_bias": None})
    assert "the first of them model.layers.1.mlp.expert_bias" in refusal(tmp_path)


def test_expert_bias_under_both_names_at_once(tmp_path: Path):
    write_random_checkpoint(tmp_path, tiny_config(moe_router_enable_expert_bias=True), shards=0)
    edit_shard(tmp_path / "model.safetensors", {"model.layers.0.mlp.gate.expert_bias": torch.zeros(4)})
    assert "both hold model.layers.0.mlp.expert_bias; remove one" in refusal(tmp_path)


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
    assert "its header: holds a JSON list where an object is needed" in refusal(folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [Q_PROJ, "model.norm.weight"])
def test_nan_and_infinity_are_named_when_the_tensor_is_read(tmp_path: Path, name: str, value: float):
    tensor = torch.zeros(shapes_of(tiny_config())[name], dtype=torch.bfloat16)
    tensor.view(-1)[-1] = value
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path, replace={name: tensor}))
    checkpoint.tensor("lm_head.weight")
    with pytest.raises(UserError, match=f"safetensors: tensor {name} holds NaN or infinity"):
        checkpoint.tensor(name)
    with pytest.raises(UserError, match=f"tensor {name} holds NaN or infinity"):
        list(checkpoint.scan())


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800"])
def test_index_that_names_a_shard_by_what_is_no_file_name(folder: Path, name: str):
    edit_index(folder, **{Q_PROJ: name})
    message = refusal(folder)
    assert "which does not exist" in message and message.isprintable()


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


def edit_header(path: Path, edit: Callable[[dict[str, Any]], Any], data: bytes | None = None) -> None:
    """Change the JSON header of a file; `edit` may return a text instead."""
    raw = path.read_bytes()
    size = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:size])
    text = edit(header) or json.dumps(header)
    path.write_bytes(len(text.encode()).to_bytes(8, "little") + text.encode() + (raw[size:] if data is None else data))


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return write_random_checkpoint(tmp_path, shards=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [40.0, 40.0]),
        ("shape", [True, 1600]),
        ("shape", [-40, -40]),
        ("shape", "4040"),
        ("shape", [40, 41]),
        ("shape", [1] * 9),
        ("data_offsets", [0]),
        ("data_offsets", [0.0, 3200.0]),
        ("data_offsets", [-3200, 0]),
        ("dtype", "F4"),
        ("dtype", ["BF16"]),
        ("stride", 1),
    ],
)
def test_header_whose_entry_makes_no_sense(single: Path, field: str, value: object):
    edit_header(single / "model.safetensors", lambda header: header[Q_PROJ].update({field: value}))
    assert f"the header's entry of tensor {Q_PROJ} makes no sense" in refusal(single)


def test_header_that_names_a_tensor_twice(single: Path):
    def twice(header: dict[str, Any]) -> str:
        return json.dumps(header)[:-1] + f', "{Q_PROJ}": {json.dumps(header[Q_PROJ])}}}'

    edit_header(single / "model.safetensors", twice)
    assert f"names '{Q_PROJ}' twice" in refusal(single)


def test_shards_beside_a_single_file(single: Path):
    """Which of the two is read differs between loaders."""
    (single / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    assert "holds model.safetensors and model.safetensors.index.json, which may be two models" in refusal(single)


def test_tensors_that_share_bytes(single: Path):
    def moved(header: dict[str, Any]) -> None:
        begin, end = header[Q_PROJ]["data_offsets"]
        header[Q_PROJ]["data_offsets"] = [begin - 2, end - 2]

    edit_header(single / "model.safetensors", moved)
    assert f"and {Q_PROJ} share bytes" in refusal(single)


def test_bytes_that_belong_to_no_tensor(single: Path):
    path = single / "model.safetensors"
    edit_header(path, lambda header: header.pop("lm_head.weight") and None)
    assert "bytes before " in refusal(single) and "belong to none" in refusal(single)
    write_random_checkpoint(single, shards=0)
    path.write_bytes(path.read_bytes() + b"\0")
    assert "1 bytes behind the last tensor belong to none" in refusal(single)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"__metadata__": {"format": 1}}', '{"__metadata__": "pt"}'])
def test_header_that_is_hostile(single: Path, text: str):
    edit_header(single / "model.safetensors", lambda header: text, b"")
    assert "model.safetensors" in refusal(single)


def stack(path: Path, names: tuple[str, str], config: dict[str, Any]) -> None:
    """Experts of every layer in two tensors a layer, called `names`."""
    tensors = load_file(path)
    for layer in range(config["num_hidden_layers"]):
        base, held = f"model.layers.{layer}.mlp.", {}
        for projection in ("gate", "up", "down"):
            each = (f"{base}experts.{e}.{projection}_proj.weight" for e in range(config["num_experts"]))
            held[projection] = torch.stack([tensors.pop(name) for name in each])
        tensors |= {base + names[0]: torch.cat([held["gate"], held["up"]], 1), base + names[1]: held["down"]}
    save_file(tensors, path)


@pytest.mark.parametrize("names", [("w1", "w2"), ("experts.gate_up_proj", "experts.down_proj")])
def test_stacked_experts_are_the_same_model(single: Path, names: tuple[str, str]):
    before = {name: Checkpoint(single).tensor(name).clone() for name in shapes_of(tiny_config())}
    stack(single / "model.safetensors", names, tiny_config())
    after = Checkpoint(single)
    assert all(torch.equal(after.tensor(name), tensor) for name, tensor in before.items())
    last = "model.layers.1.mlp.experts.3.up_proj.weight"
    assert torch.equal(after.tensor(last, 5, 9), before[last][5:9])


def test_stacked_experts_whose_orientation_is_unknown(tmp_path: Path):
    config = tiny_config(expert_intermediate_size=20)
    write_random_checkpoint(tmp_path, config, shards=0)
    stack(tmp_path / "model.safetensors", ("experts.gate_up_proj", "experts.down_proj"), config)
    assert "stacks the experts in square matrices" in refusal(tmp_path)
    edit_header(tmp_path / "model.safetensors", lambda header: header.pop("model.norm.weight") and None)
    assert "stacks the experts in square matrices" in refusal(tmp_path)  # before bytes that belong to no tensor


def test_stacked_experts_of_another_shape(single: Path):
    path = single / "model.safetensors"
    stack(path, ("w1", "w2"), tiny_config())
    edit_shard(path, {"model.layers.0.mlp.w1": torch.zeros(4, 40, 66)})
    assert "model.layers.0.mlp.w1 has shape [4, 40, 66] where config.json makes it [4, 66, 40]" in refusal(single)


def test_stacked_experts_beside_the_same_ones(single: Path):
    edit_shard(single / "model.safetensors", {"model.layers.0.mlp.w1": torch.zeros(4, 66, 40)})
    assert "both hold model.layers.0.mlp.experts." in refusal(single)


def test_what_the_published_code_does_not_read_is_left_alone(single: Path):
    extra = {
        "model.layers.0.mlp.expert_bias": torch.ones(4),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
    }
    edit_shard(single / "model.safetensors", extra)
    assert not any(tensor.kind == "expert_bias" for tensor in Checkpoint(single).model.tensors())
