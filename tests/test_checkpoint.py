"""Checkpoints: what is read is what was written, and every bad input has its one sentence."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from golden.checkpoint import Checkpoint, expected_tensors, folded_gain, matrix_names
from golden.config import ModelConfig
from golden.errors import UserError
from golden.safetensors_stream import SafetensorsReader, SafetensorsWriter
from tests.checkpoints import published_config, random_tensor, tiny_config, write_random_checkpoint

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_random_checkpoint(tmp_path / "checkpoint")


def edit_json(path: Path, **changes: object) -> None:
    """Set fields; `...` removes one."""
    contents = json.loads(path.read_text())
    contents.update(changes)
    path.write_text(json.dumps({key: value for key, value in contents.items() if value is not ...}))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def holder(folder: Path, name: str) -> Path:
    return next(shard for shard in shards(folder) if name in SafetensorsReader(shard).entries)


def edit_shard(path: Path, changes: dict[str, torch.Tensor | None]) -> None:
    """Rewrite a shard by the safetensors library with tensors replaced, added or (None) removed."""
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()} | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def edit_index(folder: Path, **changes: str | None) -> None:
    path = folder / "model.safetensors.index.json"
    weight_map = json.loads(path.read_text())["weight_map"] | changes
    edit_json(path, weight_map={name: shard for name, shard in weight_map.items() if shard is not None})


def refusal(folder: Path) -> str:
    """The one sentence with which the folder is refused."""
    with pytest.raises(UserError) as caught:
        Checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_tensor_reads_back_as_written(tmp_path: Path, dtype: torch.dtype, count: int):
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path, seed=5, shards=count, dtype=dtype))
    assert checkpoint.names() == list(expected_tensors(tiny_config()))
    for position, name in enumerate(checkpoint.names()):
        expected = random_tensor(name, expected_tensors(tiny_config())[name], 5, position).to(dtype)
        assert checkpoint.tensor(name).dtype == dtype
        assert torch.equal(checkpoint.tensor(name), expected)


def test_files_of_the_safetensors_library_are_read_and_ours_are_read_by_it(folder: Path):
    before = {name: Checkpoint(folder).tensor(name).clone() for name in Checkpoint(folder).names()}
    for shard in shards(folder):
        with safe_open(shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                assert torch.equal(file.get_tensor(name), before[name])
        edit_shard(shard, {})
    after = Checkpoint(folder)
    assert all(torch.equal(after.tensor(name), tensor) for name, tensor in before.items())


def test_a_tensor_at_an_odd_offset_is_read(tmp_path: Path):
    data = torch.arange(5, dtype=torch.bfloat16)
    header = json.dumps({"x": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}).encode()
    header += b" " * (1 - len(header) % 2)
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data.view(torch.uint8).numpy().tobytes())
    assert torch.equal(SafetensorsReader(path).tensor("x"), data)


def test_writing_to_a_tensor_leaves_the_file_alone(folder: Path):
    checkpoint = Checkpoint(folder)
    before = checkpoint.tensor(Q_PROJ).clone()
    checkpoint.tensor(Q_PROJ).zero_()
    assert torch.equal(checkpoint.tensor(Q_PROJ), before)


def test_tokenizer_path_is_none_until_there_is_a_tokenizer(folder: Path):
    assert Checkpoint(folder).tokenizer_path is None
    (folder / "tokenizer.json").write_text("{}")
    assert Checkpoint(folder).tokenizer_path == folder / "tokenizer.json"


@pytest.mark.parametrize("stored", ["mlp.expert_bias", "mlp.gate.expert_bias"])
def test_expert_bias_is_found_under_both_names(tmp_path: Path, stored: str):
    write_random_checkpoint(tmp_path, tiny_config(has_expert_bias=True), shards=0)
    path = tmp_path / "model.safetensors"
    biases = [load_file(path)[f"model.layers.{layer}.mlp.expert_bias"].clone() for layer in range(2)]
    for layer, bias in enumerate(biases):
        edit_shard(path, {f"model.layers.{layer}.mlp.expert_bias": None})
        edit_shard(path, {f"model.layers.{layer}.{stored}": bias})
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config.has_expert_bias
    assert all(torch.equal(checkpoint.expert_bias(layer), bias) for layer, bias in enumerate(biases))


def test_without_expert_bias_there_is_none(folder: Path):
    assert not Checkpoint(folder).config.has_expert_bias
    assert Checkpoint(folder).expert_bias(0) is None


def test_reading_a_checkpoint_keeps_one_matrix_in_memory(tmp_path: Path):
    config = tiny_config(hidden_size=512, expert_intermediate_size=512, num_experts=16, num_hidden_layers=1)
    write_random_checkpoint(tmp_path, config, shards=0)
    size = (tmp_path / "model.safetensors").stat().st_size
    program = f"""
from pathlib import Path
from golden.checkpoint import Checkpoint
def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
checkpoint = Checkpoint({str(tmp_path)!r})
next(checkpoint.scan())
before = peak()
list(checkpoint.scan())
print(peak() - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
    assert size > 26e6
    assert grown < 5e6


# --- the model's shape -----------------------------------------------------------------------------------------------


def test_published_model_has_7_36_billion_parameters_in_its_published_names():
    shapes = expected_tensors(published_config())
    assert sum(map(math.prod, shapes.values())) == 7_356_880_896
    assert len(shapes) == 3 + 16 * (9 + 3 * 64)
    assert shapes["model.layers.15.mlp.experts.63.down_proj.weight"] == (2048, 1024)
    assert shapes["model.layers.3.self_attn.k_norm.weight"] == (128,)
    assert shapes["model.layers.0.mlp.gate.weight"] == (64, 2048)


def test_matrices_and_the_gains_that_fold_into_them():
    config = tiny_config(num_hidden_layers=1, num_experts=1, num_experts_per_tok=1)
    layer = "model.layers.0."
    before, after = layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight"
    assert {name: folded_gain(config, name) for name in matrix_names(config)} == {
        "model.embed_tokens.weight": None,
        layer + "self_attn.q_proj.weight": before,
        layer + "self_attn.k_proj.weight": before,
        layer + "self_attn.v_proj.weight": before,
        layer + "self_attn.o_proj.weight": None,
        layer + "mlp.gate.weight": after,
        layer + "mlp.experts.0.gate_proj.weight": after,
        layer + "mlp.experts.0.up_proj.weight": after,
        layer + "mlp.experts.0.down_proj.weight": None,
        "lm_head.weight": "model.norm.weight",
    }


# --- bad tensors -----------------------------------------------------------------------------------------------------


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


# --- bad indices -----------------------------------------------------------------------------------------------------


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


# --- config.json -----------------------------------------------------------------------------------------------------


def test_config_survives_the_trip_through_json(tmp_path: Path):
    for config in (tiny_config(), published_config()):
        (tmp_path / "config.json").write_text(json.dumps(config.to_json_dict()))
        assert ModelConfig.from_json(tmp_path / "config.json") == config


def test_published_token_ids_are_the_default_where_the_vocabulary_has_them(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(published_config().to_json_dict()))
    edit_json(path, mask_token_id=..., eos_token_id=None)
    assert ModelConfig.from_json(path) == published_config()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type 'llama' is not supported"),
        ({"model_type": ...}, "model_type None is not supported"),
        ({"num_experts": ...}, "num_experts is missing, so this is a dense LLaDA"),
        ({"hidden_size": 41}, "hidden_size 41 is no multiple of num_attention_heads 2"),
        ({"hidden_size": 42, "head_dim": ...}, "head_dim 21 (hidden_size / num_attention_heads) is odd"),
        ({"num_key_value_heads": 1}, "num_key_value_heads 1 differs from num_attention_heads 2"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok 5 exceeds num_experts 4"),
        ({"mask_token_id": 23}, "mask_token_id 23 lies outside the vocabulary (vocab_size 23)"),
        ({"mask_token_id": -1}, "mask_token_id -1 lies outside the vocabulary"),
        ({"mask_token_id": ...}, "field mask_token_id is missing"),
        ({"eos_token_id": 156892}, "eos_token_id 156892 lies outside the vocabulary"),
        ({"eos_token_id": [22]}, "eos_token_id is [22], which is not of type int"),
        ({"eos_token_id": 21}, "mask_token_id and eos_token_id are both 21"),
        ({"moe_layer_freq": [0, 1]}, "moe_layer_freq is [0, 1], and only a list of 2 ones"),
        ({"moe_layer_freq": [1, 1, 1]}, "moe_layer_freq is [1, 1, 1], and only a list of 2 ones"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', and only 'silu' is supported"),
        ({"moe_router_score_function": "sigmoid"}, "moe_router_score_function is 'sigmoid', and only 'softmax'"),
        ({"norm_topk_prob": True}, "norm_topk_prob is True, and only False is supported"),
        ({"rope_scaling": {"type": "yarn"}}, "rope_scaling is {'type': 'yarn'}, and only None is supported"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings is True, and only False is supported"),
        ({"qk_layernorm": False}, "qk_layernorm is False, and only True is supported"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ({"head_dim": 16}, "head_dim is 16 but hidden_size / num_attention_heads is 20"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be positive"),
        ({"vocab_size": -3}, "vocab_size is -3; it must be positive"),
        ({"rope_theta": math.inf}, "rope_theta is inf; it must be positive"),
        ({"rms_norm_eps": 0}, "rms_norm_eps is 0.0; it must be positive"),
        ({"hidden_size": 40.0}, "hidden_size is 40.0, which is not of type int"),
        ({"num_experts": True}, "num_experts is True, which is not of type int"),
        ({"rope_theta": "big"}, "rope_theta is 'big', which is not of type float"),
        ({"vocab_size": ...}, "field vocab_size is missing"),
        ({"rms_norm_eps": ...}, "field rms_norm_eps is missing"),
    ],
)
def test_config_that_is_not_a_model_we_compute(folder: Path, changes: dict[str, object], message: str):
    edit_json(folder / "config.json", **changes)
    assert f"config.json: {message}" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "\xff\xfe", "[1]"])
def test_config_that_is_no_json_object(folder: Path, text: str):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    assert "JSON" in refusal(folder)


def test_config_that_does_not_exist(folder: Path):
    (folder / "config.json").unlink()
    assert "the file does not exist" in refusal(folder)


# --- the streaming writer --------------------------------------------------------------------------------------------


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
