"""GGUF files: the same model as a folder in Hugging Face form, or one sentence."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.gguf_files import import_gguf
from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.errors import UserError

HEADS, KEYS, HEAD, HIDDEN, WIDTH, VOCABULARY = 4, 2, 8, 32, 48, 7
TOKENS = ["<|end|>", "a", "b", "ab", "Ġ", "Ġa", "c"]
SHAPES = {
    "attn_norm": (HIDDEN,),
    "attn_q": (HEADS * HEAD, HIDDEN),
    "attn_k": (KEYS * HEAD, HIDDEN),
    "attn_v": (KEYS * HEAD, HIDDEN),
    "attn_output": (HIDDEN, HEADS * HEAD),
    "ffn_norm": (HIDDEN,),
    "ffn_gate": (WIDTH, HIDDEN),
    "ffn_up": (WIDTH, HIDDEN),
    "ffn_down": (HIDDEN, WIDTH),
}


def interleaved(w: np.ndarray) -> np.ndarray:
    """Rows of q or k as llama.cpp stores them: the two of a rotary pair beside each other."""
    rows = [
        head * HEAD + half * HEAD // 2 + i
        for head in range(len(w) // HEAD)
        for i in range(HEAD // 2)
        for half in (0, 1)
    ]
    return np.ascontiguousarray(w[rows])


def write(
    file: Path,
    without: str = "",
    architecture: str = "llama",
    more: Callable[[GGUFWriter], object] = lambda writer: None,
    merges: Sequence[str] = ("a b", "Ġ a"),
    types: Sequence[int] = (3, 1, 1, 1, 1, 1, 1),
    heads: int = HEADS,
) -> dict[str, np.ndarray]:
    """A file of one layer with random float32 tensors; they, in the order of Hugging Face. more: adds to the file."""
    writer, draw = GGUFWriter(file, architecture), np.random.default_rng(0)
    more(writer)
    for name, value in (("embedding_length", HIDDEN), ("feed_forward_length", WIDTH), ("block_count", 1)):
        writer.add_uint32(f"llama.{name}", value)
    for name, value in (("vocab_size", VOCABULARY), ("attention.head_count", heads), ("attention.head_count_kv", KEYS)):
        writer.add_uint32(f"llama.{name}", value)
    writer.add_uint32("llama.context_length", 64)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(0)
    shapes = {f"blk.0.{name}.weight": shape for name, shape in SHAPES.items()}
    shapes |= {"token_embd.weight": (VOCABULARY, HIDDEN), "output_norm.weight": (HIDDEN,)}
    tensors = {name: draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        if name != without:
            writer.add_tensor(
                name, interleaved(tensor) if name.endswith(("attn_q.weight", "attn_k.weight")) else tensor
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def test_a_gguf_file_becomes_the_same_model(tmp_path: Path):
    tensors = write(tmp_path / "m.gguf")
    model = import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    checkpoint = Checkpoint(tmp_path / "out")
    assert checkpoint.model == model and model.tied and model.layers[0].attention.num_key_value_heads == KEYS
    for kind, stored in (
        ("q_proj", "attn_q"),
        ("k_proj", "attn_k"),
        ("o_proj", "attn_output"),
        ("dense.down_proj", "ffn_down"),
    ):
        read = checkpoint.tensor(model.tensor(kind, 0).name)
        assert torch.equal(read, torch.from_numpy(tensors[f"blk.0.{stored}.weight"]))
    assert torch.equal(checkpoint.tensor("lm_head.weight"), torch.from_numpy(tensors["token_embd.weight"]))
    tokenizer = load_tokenizer(tmp_path / "out")
    assert tokenizer is not None and tokenizer.encode("ab a").ids == [3, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"without": "blk.0.ffn_up.weight"}, "1 tensors are missing, the first of them blk.0.ffn_up.weight"),
        ({"architecture": "mamba"}, "holds a 'mamba', and only llama is read"),
    ],
)
def test_another_file_is_one_sentence(tmp_path: Path, change: dict[str, str], message: str):
    write(tmp_path / "m.gguf", **change)
    with pytest.raises(UserError, match=message):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")


def test_what_is_no_gguf_is_one_sentence(tmp_path: Path):
    (tmp_path / "m.gguf").write_bytes(b"GGML" * 10)
    with pytest.raises(UserError, match=r"m\.gguf: cannot be read as GGUF"):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")


OTHERS: dict[str, Callable[[GGUFWriter], object]] = {
    "llama.rope.scaling.type": lambda w: w.add_string("llama.rope.scaling.type", "yarn"),
    "llama.rope.scaling.factor": lambda w: w.add_float32("llama.rope.scaling.factor", 4.0),
    "llama.rope.scale_linear": lambda w: w.add_float32("llama.rope.scale_linear", 4.0),
    "llama.attention.sliding_window": lambda w: w.add_uint32("llama.attention.sliding_window", 8),
    "llama.attention.key_length": lambda w: w.add_uint32("llama.attention.key_length", HEAD * 2),
    "llama.attention.scale": lambda w: w.add_float32("llama.attention.scale", 0.5),
    "llama.logit_scale": lambda w: w.add_float32("llama.logit_scale", 0.5),
    "llama.embedding_scale": lambda w: w.add_float32("llama.embedding_scale", 12.0),
    "llama.residual_scale": lambda w: w.add_float32("llama.residual_scale", 0.2),
    "llama.expert_count": lambda w: w.add_uint32("llama.expert_count", 8),
    "llama.rope.dimension_count": lambda w: w.add_uint32("llama.rope.dimension_count", HEAD // 2),
    "adapter.type": lambda w: w.add_string("adapter.type", "lora"),
    "rope_freqs.weight": lambda w: w.add_tensor("rope_freqs.weight", np.ones(HEAD // 2, dtype=np.float32)),
    "blk.0.attn_q.bias": lambda w: w.add_tensor("blk.0.attn_q.bias", np.ones(HIDDEN, dtype=np.float32)),
    "blk.1.attn_q.weight": lambda w: w.add_tensor("blk.1.attn_q.weight", np.ones((HIDDEN, HIDDEN), dtype=np.float32)),
}
"""Keys and tensors of other models."""


@pytest.mark.parametrize("name", OTHERS)
def test_what_would_make_another_model_of_it_is_refused_by_name(tmp_path: Path, name: str):
    write(tmp_path / "m.gguf", more=OTHERS[name])
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()


def test_keys_of_a_plain_model_change_nothing(tmp_path: Path):
    def plain(writer: GGUFWriter) -> None:
        writer.add_string("llama.rope.scaling.type", "none")
        writer.add_uint32("llama.attention.key_length", HEAD)
        writer.add_uint32("llama.expert_count", 0)
        writer.add_string("general.name", "any")

    write(tmp_path / "m.gguf", more=plain)
    assert import_gguf(tmp_path / "m.gguf", tmp_path / "out").layers[0].attention.head_dim == HEAD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"merges": ["ab"]}, "merges: 'ab' is no pair"),
        ({"merges": ["a b c"]}, "is no pair of tokens"),
        ({"merges": ["a q"]}, "are of no tokenizer"),
        ({"types": [3, 1]}, "not as many as token_type"),
        ({"heads": 0}, "head_count is 0"),
    ],
)
def test_a_file_of_wrong_values_is_one_sentence(tmp_path: Path, change: dict[str, Any], message: str):
    write(tmp_path / "m.gguf", **change)
    with pytest.raises(UserError, match=message):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()
