"""config.json: what it must say of a model that we compute; anything else has its one sentence."""

import json
import math
from pathlib import Path

import pytest

from golden.checkpoints.config import ModelConfig
from tests.checkpoints import (
    edit_json,
    published_config,
    refusal,
    tiny_config,
    write_random_checkpoint,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_random_checkpoint(tmp_path / "checkpoint")


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
