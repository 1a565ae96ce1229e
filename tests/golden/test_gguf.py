"""GGUF files: the same model as a folder in Hugging Face form, or one sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter

from golden.checkpoints.checkpoint import Checkpoint
from golden.checkpoints.gguf_files import import_gguf
from golden.checkpoints.tokenizer import load_tokenizer
from golden.errors import UserError

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


def write(file: Path, without: str = "", architecture: str = "llama") -> dict[str, np.ndarray]:
    """A file of one layer with random float32 tensors; they, in the order of Hugging Face."""
    writer, draw = GGUFWriter(file, architecture), np.random.default_rng(0)
    for name, value in (("embedding_length", HIDDEN), ("feed_forward_length", WIDTH), ("block_count", 1)):
        writer.add_uint32(f"llama.{name}", value)
    for name, value in (("vocab_size", VOCABULARY), ("attention.head_count", HEADS), ("attention.head_count_kv", KEYS)):
        writer.add_uint32(f"llama.{name}", value)
    writer.add_uint32("llama.context_length", 64)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 1, 1, 1, 1, 1, 1])
    writer.add_token_merges(["a b", "Ġ a"])
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
