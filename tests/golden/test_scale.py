"""What makes real sizes possible: made-up checkpoints, work on all cores in order, digests, slots read by the word."""

import hashlib
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.gen.text.provenance import digest
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.checkpoints.synthetic import make_checkpoint, reduced, sharded
from hardloom.golden.errors import UserError
from hardloom.golden.parallel import ordered_map
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.extract.slots import NO_WIRE, SOUND, TOO_MUCH, WRONG_SLICE, WRONG_SUM, read_slots

SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2,
         "head_dim": 32, "expert_intermediate_size": 96, "num_experts": 3, "num_experts_per_tok": 2, "vocab_size": 50,
         "mask_token_id": 49, "eos_token_id": 48, "moe_layer_freq": [1]}  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published architecture at a size for tests, in shards of a few tensors."""
    monkeypatch.setattr("hardloom.golden.checkpoints.synthetic.read_preset", lambda name: read_preset(name) | SMALL)
    monkeypatch.setattr("hardloom.golden.checkpoints.synthetic.SHARD_BYTES", 60_000)
    for user in ("synthetic", "made_up"):
        monkeypatch.setattr(f"golden.checkpoints.{user}.PIECE", 1000)


def test_a_made_up_checkpoint_is_read_like_a_published_one(small: None, tmp_path: Path) -> None:
    model = make_checkpoint("llada-moe-7b", tmp_path / "a")
    checkpoint = Checkpoint(tmp_path / "a")
    assert checkpoint.model == model and checkpoint.dtypes() == ["BF16"]
    assert len(list((tmp_path / "a").glob("model-*-of-*.safetensors"))) > 2
    index = json.loads((tmp_path / "a" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == {tensor.name for tensor in model.tensors()}
    gate = checkpoint.tensor("model.layers.0.mlp.experts.0.gate_proj.weight").float()
    assert 0.5 < float(gate.std()) * 64**0.5 < 2
    assert float(checkpoint.tensor("model.norm.weight").float().min()) > 0
    quantize_checkpoint(tmp_path / "a", tmp_path / "q", "mxfp4", numerics=Numerics())


def test_a_made_up_checkpoint_depends_on_its_seed_alone(small: None, tmp_path: Path) -> None:
    for name, seed, experts in (("a", 0, None), ("b", 0, None), ("c", 1, None), ("d", 0, 1)):
        make_checkpoint("llada-moe-7b", tmp_path / name, experts=experts, seed=seed)
    a, b, c, d = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.suffix == ".safetensors"}
        for name in "abcd"
    )
    assert a == b and a != c and a != d
    name = "model.layers.0.mlp.experts.0.up_proj.weight"
    assert torch.equal(Checkpoint(tmp_path / "a").tensor(name), Checkpoint(tmp_path / "d").tensor(name))
    with pytest.raises(UserError, match="holds a whole checkpoint already"):
        make_checkpoint("llada-moe-7b", tmp_path / "a")
    (tmp_path / "b" / "config.json").unlink()  # as a killed run leaves it
    next((tmp_path / "b").glob("*.safetensors")).write_bytes(b"half")
    make_checkpoint("llada-moe-7b", tmp_path / "b")
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").glob("*.safetensors")} == a


def test_a_virtual_checkpoint_has_the_tensors_of_one_on_disk(small: None, tmp_path: Path) -> None:
    model = make_checkpoint("llada-moe-7b", tmp_path / "written", seed=3)
    assert make_checkpoint("llada-moe-7b", tmp_path / "virtual", seed=3, virtual=True) == model
    assert sum(path.stat().st_size for path in (tmp_path / "virtual").iterdir()) < 5000
    written, virtual = Checkpoint(tmp_path / "written"), Checkpoint(tmp_path / "virtual")
    for tensor in model.tensors():
        whole = written.tensor(tensor.name)
        some = range(len(whole))[len(whole) // 3 : -1]  # across borders of what is made at once
        assert torch.equal(virtual.tensor(tensor.name), whole)
        assert torch.equal(virtual.tensor(tensor.name, some.start, some.stop), whole[some.start : some.stop])


@pytest.mark.parametrize("seed", ["-1", "true", '"3"', '3, "more": 1'])
def test_a_virtual_checkpoint_has_a_seed(small: None, tmp_path: Path, seed: str) -> None:
    make_checkpoint("llada-moe-7b", tmp_path / "a", virtual=True)
    (tmp_path / "a" / "made_up.json").write_text(f'{{"seed": {seed}}}')
    with pytest.raises(UserError, match=r"made_up\.json: holds no seed alone"):
        Checkpoint(tmp_path / "a")


def test_a_virtual_checkpoint_has_no_tensors_besides(small: None, tmp_path: Path) -> None:
    make_checkpoint("llada-moe-7b", tmp_path / "a", virtual=True)
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds made_up\.json and model\.safetensors"):
        Checkpoint(tmp_path / "a")


def test_what_a_killed_run_wrote_does_not_stand_beside_a_virtual_checkpoint(small: None, tmp_path: Path) -> None:
    """It was killed when the index was there and config.json was not."""
    folder = tmp_path / "a"
    make_checkpoint("llada-moe-7b", folder, seed=3)
    (folder / "config.json").unlink()
    (folder / "mine.safetensors").write_text("mine")
    model = make_checkpoint("llada-moe-7b", folder, seed=4, virtual=True)
    assert {path.name for path in folder.iterdir()} == {".hardloom", "config.json", "made_up.json", "mine.safetensors"}
    make_checkpoint("llada-moe-7b", tmp_path / "b", seed=4)
    names = [tensor.name for tensor in model.tensors()]
    read, written = Checkpoint(folder), Checkpoint(tmp_path / "b")
    assert names and all(torch.equal(read.tensor(name), written.tensor(name)) for name in names)


def test_the_published_size_has_the_published_shapes() -> None:
    fields = reduced(read_preset("llada-moe-7b"), 2, None, None)
    assert (fields["num_hidden_layers"], fields["num_experts"], fields["vocab_size"]) == (2, 64, 157184)
    shapes = {f"{n}": (1 << 20, 1024) for n in range(5)}
    assert [len(names) for names in sharded(shapes)] == [2, 2, 1]


def test_pieces_of_a_matrix_are_the_integers_of_the_whole(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_checkpoint("llada-moe-7b", tmp_path / "a")
    monkeypatch.setattr("hardloom.golden.quantization.quantized.PIECE", 200)
    for format in ("mxfp4", "int4", "ternary"):
        quantize_checkpoint(tmp_path / "a", tmp_path / format, format, numerics=Numerics())
        checkpoint = QuantizedCheckpoint(tmp_path / format)
        for name in ("lm_head.weight", "model.layers.0.mlp.experts.2.down_proj.weight"):
            whole, pieces = checkpoint.matrix(name).integers(), checkpoint.integers(name)
            assert torch.equal(whole.weights, pieces.weights.int())
            assert torch.equal(whole.mant, pieces.mant) and torch.equal(whole.exp, pieces.exp)
            assert whole.max_spread == pieces.max_spread
            assert pieces.weights.dtype == (torch.int16 if whole.weights.abs().max() < 4096 else torch.int32)


def test_results_come_in_order_and_within_the_budget() -> None:
    sizes, lock = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], threading.Lock()
    held, most = 0, 0

    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number

    def items():
        nonlocal held, most
        for number, size in enumerate(sizes):
            yield number
            with lock:  # it was taken: what is under way now has room for it
                held += size
                most = max(most, held - size if size > 8 else held)

    seen = []
    for result in ordered_map(work, items(), lambda number: sizes[number], 8):
        seen.append(result)
        with lock:
            held -= sizes[result]
    assert seen == list(range(len(sizes)))


def test_an_exception_comes_where_its_result_would() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    seen = []
    with pytest.raises(ValueError, match="three"):
        for result in ordered_map(work, range(10)):
            seen.append(result)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "width"), [(127, 1), (-128, 1), (128, 2), (-129, 2), (32767, 2), (-32769, 4), (1 << 31, 8)]
)
def test_a_digest_takes_the_bytes_that_the_largest_value_needs(value: int, width: int) -> None:
    arrays = [np.array([[1, -1]]), np.array([[value, 0]])]
    expected = hashlib.sha256(np.array([1, -1, value, 0], dtype=f"<i{width}").tobytes()).hexdigest()
    assert digest(*arrays) == expected
    if value < 1 << 31:
        assert digest(*(array.astype(np.int32) for array in arrays)) == expected


SLOT = st.one_of(
    st.sampled_from(["1'b0", "p0", "n0", "p7", "n11", "p10", "n9"]),
    st.sampled_from(
        ["p12", "n00", "p07", "q3", "p", "", "1'b1", "1'b", "1'b00", "p1 2", "p:", "n/", "p1234567", "p-1"]
    ),
    st.text("pn0123456789'b ", max_size=7),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(SLOT, min_size=1, max_size=8),
    st.integers(1, 3),
    st.sampled_from(["", " ", "\n", "\n  "]),
    st.integers(-1, 1),
)
def test_slots_are_read_as_they_are_defined(slots: list[str], slices: int, between: str, extra: int) -> None:
    """Against a plain reader of the same definition."""
    inputs, count = 12, max(1, len(slots) + extra)
    values = np.arange(1, count + 1) * 5
    text = (between + ("," + between).join(slots) + ");\nendmodule and what follows\n").encode()
    weights = np.zeros((inputs, 1), dtype=np.int32)
    slice_of = np.arange(inputs, dtype=np.int32) % slices
    end, fault = read_slots(np.frombuffer(text, dtype=np.uint8), 0, values, slice_of, slices, values.sum(), weights)
    expected = np.zeros(inputs, dtype=np.int64)
    names = [slot.lstrip(" ") for slot in slots]
    for number, name in enumerate(names[:count]):
        digits, last = name[1:], number == len(names) - 1
        wire = name[:1] in ("p", "n") and digits.isdecimal() and str(int(digits)) == digits and int(digits) < inputs
        if not (wire or name == "1'b0") or last != (number == count - 1):
            assert fault == NO_WIRE
            return
        if wire and int(digits) % slices != number % slices:
            assert fault == WRONG_SLICE
            return
        if wire:
            expected[int(digits)] += values[number] * (1 if name[0] == "p" else -1)
    assert fault == SOUND
    assert np.array_equal(weights[:, 0], expected)
    assert text[end:].startswith(b";\nendmodule")


def test_sums_that_would_wrap_or_exceed_the_accumulator_are_faults() -> None:
    text = np.frombuffer(b"p0,n1);\nendmodule", dtype=np.uint8)
    weights, slices = np.zeros((2, 1), dtype=np.int32), np.zeros(2, dtype=np.int32)
    for values, most, fault in (
        ([1 << 31, 1], 1 << 40, WRONG_SUM),
        ([1 << 30, 1], 1 << 40, SOUND),
        ([3, 4], 7, SOUND),
        ([3, 4], 6, TOO_MUCH),
    ):
        assert read_slots(text, 0, np.array(values), slices, 1, most, weights)[1] == fault


def test_every_neuron_of_a_ring_has_an_accumulator_of_its_own() -> None:
    text = np.frombuffer(b"p0,p1);\nendmodule", dtype=np.uint8)
    weights, slices = np.zeros((1, 2), dtype=np.int32), np.arange(2, dtype=np.int32)
    assert read_slots(text, 0, np.array([5, 5]), slices, 2, 5, weights)[1] == SOUND
    assert weights.tolist() == [[5, 5]]
