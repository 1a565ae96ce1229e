"""config.json: what it must say of a model that we compute; anything else has its one sentence."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.config import read_config
from hardloom.golden.checkpoints.families import FAMILIES, Family, shape_of
from hardloom.golden.checkpoints.families.rules import HARMLESS
from hardloom.golden.errors import UserError
from hardloom.golden.shape import DenseShape
from tests.checkpoints import (
    edit_json,
    published_config,
    refusal,
    tiny_config,
)


def test_published_token_ids_are_the_default_where_the_vocabulary_has_them(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(published_config()))
    edit_json(path, mask_token_id=..., eos_token_id=None)
    assert read_config(path)[1] == shape_of(published_config())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "mamba"},
            "model_type 'mamba' is not supported; give a checkpoint of one of Dream",
        ),
        ({"model_type": ...}, "model_type None is not supported"),
        ({"num_experts": ...}, "field hidden_size (40) is not known here and could change the model"),  # a dense LLaDA
        ({"hidden_size": 41}, "hidden_size 41 is no multiple of num_attention_heads 2"),
        ({"hidden_size": 42, "head_dim": ...}, "head_dim 21 (hidden_size / num_attention_heads) is odd"),
        ({"num_key_value_heads": 3}, "num_attention_heads 2 is no multiple of num_key_value_heads 3"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok 5 exceeds num_experts 4"),
        ({"mask_token_id": 23}, "mask_token_id 23 lies outside the vocabulary (vocab_size 23)"),
        ({"mask_token_id": -1}, "mask_token_id -1 lies outside the vocabulary"),
        ({"mask_token_id": ...}, "field mask_token_id is missing"),
        ({"eos_token_id": 156892}, "eos_token_id 156892 lies outside the vocabulary"),
        ({"eos_token_id": [22, 23]}, "eos_token_id 23 lies outside the vocabulary"),
        ({"eos_token_id": []}, "eos_token_id is [], which is not of type int"),
        ({"eos_token_id": 21}, "mask_token_id and eos_token_id are both 21"),
        ({"moe_layer_freq": [0, 1]}, "field dense_intermediate_size is missing"),
        ({"moe_layer_freq": [0, 2]}, "moe_layer_freq is [0, 2], which holds more than zeros and ones"),
        ({"moe_layer_freq": [1, 1, 1]}, "moe_layer_freq is [1, 1, 1], and must be a list of num_hidden_layers 2"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', and only 'silu' is supported"),
        ({"moe_router_score_function": "sigmoid"}, "moe_router_score_function is 'sigmoid', and only 'softmax'"),
        ({"norm_topk_prob": True}, "norm_topk_prob is True, and only False is supported"),
        (
            {"rope_scaling": {"type": "yarn"}},
            "rope_scaling is {'type': 'yarn'}, and only plain rotary embedding is supported",
        ),
        ({"tie_word_embeddings": True}, "tie_word_embeddings is True, and only False is supported"),
        ({"qk_layernorm": 1}, "qk_layernorm is 1, which is not of type bool"),
        ({"partial_rotary_factor": 0.33}, "partial_rotary_factor is 0.33; of head_dim 20 it must leave an even number"),
        ({"head_dim": 20.0}, "head_dim is 20.0 but hidden_size / num_attention_heads is 20"),
        ({"head_dim": 16}, "head_dim is 16 but hidden_size / num_attention_heads is 20"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be positive"),
        ({"vocab_size": -3}, "vocab_size is -3; it must be positive"),
        ({"rope_theta": math.inf}, "holds Infinity, which is no JSON number"),
        ({"rope_theta": -1.0}, "rope_theta is -1.0; it must be positive"),
        ({"rope_theta": 10**400}, "rope_theta is 1000"),
        ({"rms_norm_eps": 1e300}, "rms_norm_eps is 1e+300; no model has more than 1.0"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000; no model has more than 4,096"),
        ({"num_experts": 10**7}, "num_experts is 10000000; no model has more than 65,536"),
        (
            {"num_hidden_layers": 4096, "num_experts": 4096},
            "num_hidden_layers 4096 times num_experts 4096 is more than the 262,144 experts",
        ),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_parameters is {'rope_type': 'yarn'"),
        ({"rope_parameters": {"rope_theta": 4.0}}, "rope_theta is 50000.0 but 4.0 in rope_parameters"),
        ({"rope_parameters": "default"}, "rope_parameters is 'default', and only plain rotary embedding"),
        ({"rope_parameters": {"partial_rotary_factor": 0.33}}, "partial_rotary_factor is 0.33"),
        ({"clip_qkv": -1}, "clip_qkv is -1.0; it must be positive"),
        ({"scoring_func": "sigmoid"}, "scoring_func is 'sigmoid', and only 'softmax'"),
        ({"n_shared_experts": 1}, "n_shared_experts is 1, and only 0 is supported"),
        ({"shared_expert_intermediate_size": 6.4}, "shared_expert_intermediate_size is 6.4, which is not of type int"),
        ({"sliding_window": 512}, "sliding_window is 512, and only None"),
        ({"logit_softcap": 30.0}, "logit_softcap is 30.0, and only None"),
        ({"mlp_bias": True}, "mlp_bias is True, and only False"),
        ({"n_group": True}, "n_group is True, and only 0"),
        ({"n_routed_experts": 8}, "n_routed_experts is 8 but num_experts is 4"),
        ({"moe_intermediate_size": 8}, "moe_intermediate_size is 8 but expert_intermediate_size is 33"),
        ({"moe_router_enable_expert_bias": 1}, "moe_router_enable_expert_bias is 1, which is not of type bool"),
        ({"residual_multiplier": 2}, "field residual_multiplier (2) is not known here and could change the model"),
        ({"qk_layernorm": ...}, "field qk_layernorm is missing"),
        ({"vocab_size": ..., "rope_theta": None}, "fields vocab_size, rope_theta are missing"),
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


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": ..., "rope_scaling": ..., "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0}},
        {"rope_scaling": {"rope_type": "default"}},
        {"num_key_value_heads": None},
        {"partial_rotary_factor": -1, "router_num_group": -2, "router_topk_group": -2, "routed_scaling_factor": 1},
        {"norm_topk_prob": None, "clip_qkv": None, "pad_token_id": 1, "attention_dropout": 0.0, "use_cache": False},
        {"moe_layer_freq": 1, "moe_router_enable_expert_bias": None, "n_routed_experts": 4, "head_dim": None},
        {"dtype": "bfloat16", "transformers_version": "5.0.0", "auto_map": {"AutoConfig": "x.Y"}, "newer_field": None},
    ],
)
def test_other_spellings_of_the_same_model(folder: Path, changes: dict[str, object]):
    edit_json(folder / "config.json", **changes)
    assert Checkpoint(folder).model == shape_of(tiny_config())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qk_layernorm": None}, {"head_norms": False}),
        ({"qk_layernorm": False, "use_qk_norm": False}, {"head_norms": False}),
        ({"clip_qkv": 0.5}, {"clip": 0.5}),
        ({"num_key_value_heads": 1}, {"num_key_value_heads": 1}),
        ({"partial_rotary_factor": 0.5}, {"rotary_dim": 10}),
    ],
)
def test_attention_is_what_the_fields_say(changes: dict[str, Any], expected: dict[str, Any]):
    plain, changed = (shape_of(tiny_config(**fields)).layers[1].attention for fields in ({}, changes))
    assert changed == replace(plain, **expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"moe_router_enable_expert_bias": True}, {"bias": "mixing"}),
        ({"shared_expert_intermediate_size": 64}, {"shared_size": 64}),
        ({"num_experts_per_tok": 3}, {"top_k": 3}),
    ],
)
def test_experts_are_what_the_fields_say(changes: dict[str, Any], expected: dict[str, Any]):
    plain, changed = (shape_of(tiny_config(**fields)).layers[1].mlp for fields in ({}, changes))
    assert changed == replace(plain, **expected)


def test_layers_without_experts_are_dense():
    dense, routed = shape_of(tiny_config(moe_layer_freq=[0, 1], dense_intermediate_size=48)).layers
    assert dense.mlp == DenseShape(48) and routed == shape_of(tiny_config()).layers[1]


def test_an_answer_may_end_in_several_ways():
    assert shape_of(tiny_config(eos_token_id=[22, 3])).eos_token_ids == (22, 3)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_no_field_is_two_things_at_once_and_each_has_its_reason(family: Family):
    kinds = (family.rules.used, family.rules.fixed, family.rules.harmless)
    assert len({*kinds[0], *kinds[1], *kinds[2]}) == sum(map(len, kinds))
    assert not set(kinds[0]) & set(HARMLESS) and not set(kinds[1]) & set(HARMLESS)
    reasons = [*HARMLESS.values(), *kinds[2].values(), *(reason for _, reason in kinds[1].values())]
    assert all(len(reason) > 5 for reason in reasons)


def test_a_name_of_the_hub_is_told_how_to_become_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="hf download inclusionAI/LLaDA-MoE-7B-A1B-Instruct --local-dir FOLDER"):
        Checkpoint("inclusionAI/LLaDA-MoE-7B-A1B-Instruct")


def test_config_that_is_a_device(folder: Path):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")
    assert "is no regular file" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"model_type": "llada", "model_type": "llada"}', "names 'model_type' twice"),
        ("[" * 100_000, "nested too deep"),
        ('{"vocab_size": ' + "9" * 5000 + "}", "holds a number of 5,000 digits"),
    ],
)
def test_config_with_a_second_meaning_or_without_end(folder: Path, text: str, sentence: str):
    (folder / "config.json").write_text(text)
    assert sentence in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "\xff\xfe", "[1]"])
def test_config_that_is_no_json_object(folder: Path, text: str):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    assert "JSON" in refusal(folder)


def test_config_that_does_not_exist(folder: Path):
    (folder / "config.json").unlink()
    assert "the file does not exist" in refusal(folder)
