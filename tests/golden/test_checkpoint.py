"""Checkpoints: what is read is what was written, in the model's shape."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from tests.checkpoints import (
    edit_shard,
    published_config,
    random_tensor,
    shapes_of,
    shards,
    tiny_config,
    tiny_model,
    write_random_checkpoint,
)

Q_PROJ = "model.layers.0.self_attn.q_proj.weight"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_tensor_reads_back_as_written(tmp_path: Path, dtype: torch.dtype, count: int):
    checkpoint = Checkpoint(write_random_checkpoint(tmp_path, seed=5, shards=count, dtype=dtype))
    for position, (name, shape) in enumerate(shapes_of(tiny_config()).items()):
        expected = random_tensor(name, shape, 5, position).to(dtype)
        assert checkpoint.tensor(name).dtype == dtype
        assert torch.equal(checkpoint.tensor(name), expected)


def test_files_of_the_safetensors_library_are_read_and_ours_are_read_by_it(folder: Path):
    before = {name: Checkpoint(folder).tensor(name).clone() for name in shapes_of(tiny_config())}
    for shard in shards(folder):
        with safe_open(shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                assert torch.equal(file.get_tensor(name), before[name])
        edit_shard(shard, {})
    after = Checkpoint(folder)
    assert all(torch.equal(after.tensor(name), tensor) for name, tensor in before.items())


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
    write_random_checkpoint(tmp_path, tiny_config(moe_router_enable_expert_bias=True), shards=0)
    path = tmp_path / "model.safetensors"
    biases = [load_file(path)[f"model.layers.{layer}.mlp.expert_bias"].clone() for layer in range(2)]
    for layer, bias in enumerate(biases):
        edit_shard(path, {f"model.layers.{layer}.mlp.expert_bias": None})
        edit_shard(path, {f"model.layers.{layer}.{stored}": bias})
    checkpoint = Checkpoint(tmp_path)
    assert all(
        torch.equal(checkpoint.tensor(checkpoint.model.tensor("expert_bias", layer).name), bias)
        for layer, bias in enumerate(biases)
    )


def test_without_expert_bias_there_is_none(folder: Path):
    assert not any(tensor.kind == "expert_bias" for tensor in Checkpoint(folder).model.tensors())


def test_reading_a_checkpoint_keeps_one_matrix_in_memory(tmp_path: Path):
    config = tiny_config(hidden_size=512, expert_intermediate_size=512, num_experts=16, num_hidden_layers=1)
    write_random_checkpoint(tmp_path, config, shards=0)
    size = (tmp_path / "model.safetensors").stat().st_size
    program = f"""
from pathlib import Path
from hardloom.golden.checkpoints.checkpoint import Checkpoint
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


def test_published_model_has_7_36_billion_parameters_in_its_published_names():
    shapes = shapes_of(published_config())
    assert sum(map(math.prod, shapes.values())) == 7_356_880_896
    assert len(shapes) == 3 + 16 * (9 + 3 * 64)
    assert shapes["model.layers.15.mlp.experts.63.down_proj.weight"] == (2048, 1024)
    assert shapes["model.layers.3.self_attn.k_norm.weight"] == (128,)
    assert shapes["model.layers.0.mlp.gate.weight"] == (64, 2048)


def test_matrices_and_the_gains_that_fold_into_them():
    model = tiny_model(num_hidden_layers=1, num_experts=1, num_experts_per_tok=1)
    layer = "model.layers.0."
    before, after = layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight"
    assert {matrix.name: matrix.gain for matrix in model.matrices()} == {
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
