"""Hostile checkpoints, a seed each: what is accepted must mean what independent readers make of the folder.

A mutation says what must come of it: `SAME` (harmless: accepted, and the same integers as before), `REFUSED`, or
`LAWFUL` (refused, or accepted with the fields that the standard library's JSON parser finds, the tensors that the
safetensors library reads and the ids that the tokenizers library gives).
"""

import atexit
import hashlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer, models

from flows.models.info import info, info_parts
from golden.checkpoints.checkpoint import Checkpoint
from golden.checkpoints.families.llada_moe import RULES
from golden.checkpoints.families.rules import HARMLESS
from golden.checkpoints.tokenizer import encode_prompt, load_tokenizer
from golden.errors import UserError
from golden.models.integer_model import IntegerModel
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.shape import DenseShape, ExpertsShape, ModelShape
from tests.checkpoints import tiny_config, write_random_checkpoint
from tests.mutations import mutated_bytes, mutated_value, replaced_file, with_one_value_mutated

__all__ = ["case", "prepare"]

SAME, REFUSED, LAWFUL = "same", "refused", "lawful"
CONFIG, INDEX, TOKENIZER = "config.json", "model.safetensors.index.json", "tokenizer.json"
PROMPT = "abacab"
LONGEST_MESSAGE = 1100
REPEATS = {
    "moe_intermediate_size": "expert_intermediate_size",
    "n_routed_experts": "num_experts",
    "num_local_experts": "num_experts",
    "use_qk_norm": "qk_layernorm",
}


@dataclass(frozen=True)
class Meaning:
    """All that a checkpoint means: its fields, its tensors, the ids of `PROMPT`, the integers of the chip for them."""

    config: dict[str, Any]
    tensors: dict[str, str]
    ids: list[int] | None
    integers: str


@cache
def originals() -> list[tuple[Path, Meaning]]:
    """Sound checkpoints: in shards, in one file with biases, in one file of float32."""
    folder = Path(tempfile.mkdtemp(prefix="hardloom-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    small = {"hidden_size": 16, "expert_intermediate_size": 12, "num_experts": 3}
    write_random_checkpoint(folder / "0", tiny_config(**small), seed=1, shards=2)
    write_random_checkpoint(folder / "1", tiny_config(**small, moe_router_enable_expert_bias=True), seed=2, shards=0)
    write_random_checkpoint(folder / "2", tiny_config(**small), seed=3, shards=0, dtype=torch.float32)
    for path in folder.iterdir():
        Tokenizer(models.BPE({c: i for i, c in enumerate("abcdefghij")}, [])).save(str(path / TOKENIZER))
    return [(folder / name, meaning(folder / name, folder / f"{name}-quantized")) for name in "012"]


def prepare() -> None:
    torch.set_num_threads(1)
    originals()


def digest(tensor: torch.Tensor) -> str:
    kind = f"{tensor.dtype} {list(tensor.shape)} ".encode()
    return hashlib.sha256(kind + tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def fields_of(model: ModelShape) -> dict[str, Any]:
    """The fields of a `config.json` that say what was read."""
    attention, experts = model.layers[0].attention, [layer.mlp for layer in model.layers]
    routed = [mlp for mlp in experts if isinstance(mlp, ExpertsShape)]
    dense = [mlp.intermediate_size for mlp in experts if isinstance(mlp, DenseShape)]
    found: dict[str, Any] = {
        "vocab_size": model.vocab_size,
        "hidden_size": model.hidden_size,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": attention.num_heads,
        "num_key_value_heads": attention.num_key_value_heads,
        "rope_theta": attention.rope_theta,
        "partial_rotary_factor": attention.rotary_dim / attention.head_dim,
        "qk_layernorm": attention.head_norms,
        "clip_qkv": attention.clip,
        "rms_norm_eps": model.rms_norm_eps,
        "max_position_embeddings": model.max_position_embeddings,
        "mask_token_id": model.mask_token_id,
        "eos_token_id": list(model.eos_token_ids),
        "moe_layer_freq": [int(isinstance(mlp, ExpertsShape)) for mlp in experts],
    }
    if routed:
        found |= {"num_experts": routed[0].num_experts, "num_experts_per_tok": routed[0].top_k}
        found |= {"expert_intermediate_size": routed[0].intermediate_size}
        found |= {"shared_expert_intermediate_size": routed[0].shared_size}
        found |= {"moe_router_enable_expert_bias": routed[0].bias == "mixing"}
    return found | ({"dense_intermediate_size": dense[0]} if dense else {})


def meaning(folder: Path, out: Path) -> Meaning:
    """What the product makes of a folder; raises its `UserError`."""
    assert list(info_parts(info(folder, config_only=False, scan=True)))
    checkpoint = Checkpoint(folder)
    tensors = {tensor.name: digest(checkpoint.tensor(tensor.name)) for tensor in checkpoint.model.tensors()}
    tokenizer, vocabulary = load_tokenizer(folder), checkpoint.model.vocab_size
    ids = None if tokenizer is None else encode_prompt(folder, tokenizer, PROMPT, vocabulary)
    quantize_checkpoint(folder, out, "mxfp4")
    integers = IntegerModel(QuantizedCheckpoint(out)).forward(torch.tensor([ids or [1, 0, 2]]))
    return Meaning(fields_of(checkpoint.model), tensors, ids, digest(integers))


# independent readers


def check_config(path: Path, original: Path, found: dict[str, Any]) -> None:
    """The fields found are those of the file, and no other field asks for another model."""
    raw = json.loads(path.read_bytes().decode())
    before = json.loads(original.read_bytes())
    said = {name: value for name, value in raw.items() if value is not None}
    said.setdefault("num_key_value_heads", said.get("num_attention_heads"))
    said.setdefault("moe_router_enable_expert_bias", False)
    said.setdefault("qk_layernorm", False)
    said.setdefault("clip_qkv", None)
    said.setdefault("rope_theta", (said.get("rope_parameters") or {}).get("rope_theta"))
    layers = said.get("moe_layer_freq", 1)
    said["moe_layer_freq"] = [layers] * said["num_hidden_layers"] if type(layers) is int else layers
    said["eos_token_id"] = said["eos_token_id"] if isinstance(said["eos_token_id"], list) else [said["eos_token_id"]]
    for name, neutral in (("shared_expert_intermediate_size", 0), ("partial_rotary_factor", 1.0)):
        said[name] = neutral if said.get(name) in (None, -1) else said[name]
    for name, value in found.items():
        assert value == said[name] and isinstance(value, bool) == isinstance(said[name], bool), name
    for name, value in said.items():
        if name in found or name in {**HARMLESS, **RULES.harmless} or name not in raw:
            continue
        neutral = RULES.fixed.get(name, ((found.get(REPEATS.get(name, "")),), ""))[0]
        plain_rope = {"rope_type": "default", "rope_theta": found["rope_theta"]}
        same = value in (before.get(name), *neutral) or (name == "moe_layer_freq" and value == 1)
        assert same or (name.startswith("rope_") and value.items() <= plain_rope.items()), name


def check_tensors(folder: Path, found: dict[str, str]) -> None:
    """The safetensors library reads the same tensors from the same folder."""
    files = [folder / "model.safetensors"]
    if (folder / INDEX).exists():
        files = [folder / name for name in set(json.loads((folder / INDEX).read_bytes())["weight_map"].values())]
    read = {}
    for file in files:
        with safe_open(file, "pt") as tensors:
            read |= {name: digest(tensors.get_tensor(name)) for name in tensors.keys()}  # noqa: SIM118
    assert found.items() <= read.items()
    assert all("bias" in name or "inv_freq" in name for name in set(read) - set(found))


def check_ids(folder: Path, found: list[int] | None, vocabulary: int) -> None:
    """The tokenizers library gives the same ids, and they stand for every character of the prompt."""
    if found is None:
        assert not (folder / TOKENIZER).exists()
        return
    tokenizer = Tokenizer.from_str((folder / TOKENIZER).read_bytes().decode())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encoding = tokenizer.encode(PROMPT, add_special_tokens=False)
    assert found == encoding.ids and all(0 <= number < vocabulary for number in found)
    assert "".join(PROMPT[begin:end] for begin, end in encoding.offsets) == PROMPT


# mutations of each file: they change a folder, and say what must come of it

Mutation = Callable[[random.Random, Path], str]


def config_value(rng: random.Random, folder: Path) -> str:
    """A field of the file, or one of those known, has another value."""
    raw = json.loads((folder / CONFIG).read_text())
    name = rng.choice([*raw, *raw, rng.choice([*RULES.fixed, *RULES.used, *HARMLESS, "block_size"])])
    raw[name] = mutated_value(rng, raw.get(name))
    (folder / CONFIG).write_text(json.dumps(raw))
    return LAWFUL


def config_type(rng: random.Random, folder: Path) -> str:
    """A number of the file is of another type, its value as it was or one that counts the same."""
    raw = json.loads((folder / CONFIG).read_text())
    name = rng.choice([name for name, value in raw.items() if type(value) in (int, float)])
    value = raw[name]
    raw[name] = rng.choice(
        [True, False, str(value), [value], {"value": value}, value * 1.0 if type(value) is int else ""]
    )
    (folder / CONFIG).write_text(json.dumps(raw))
    return SAME if name == "eos_token_id" and raw[name] == [value] else REFUSED  # one end, or a list of some


def config_without(rng: random.Random, folder: Path) -> str:
    raw = json.loads((folder / CONFIG).read_text())
    for name in rng.sample(list(raw), rng.choice([1, 1, 2, 9])):
        del raw[name]
    (folder / CONFIG).write_text(json.dumps(raw))
    return LAWFUL


def config_unknown(rng: random.Random, folder: Path) -> str:
    raw = json.loads((folder / CONFIG).read_text())
    raw[rng.choice(["embedding_multiplier", "x" * 90_000, "\ud800", "a\nb", ""])] = rng.choice([1, "a", False, [], {}])
    (folder / CONFIG).write_text(json.dumps(raw))
    return REFUSED


def config_harmless(rng: random.Random, folder: Path) -> str:
    """Another spelling of the same configuration."""
    raw = json.loads((folder / CONFIG).read_text())
    match rng.randrange(6):
        case 0:
            raw |= {"transformers_version": "5.0", "dtype": "bfloat16", "use_cache": False, "pad_token_id": -1}
        case 1:
            raw |= {"rope_parameters": {"rope_type": "default", "rope_theta": raw.pop("rope_theta")}}
        case 2:
            raw |= {"num_key_value_heads": None, "sliding_window": None, "some_field": None, "norm_topk_prob": None}
        case 3:
            raw |= {"moe_intermediate_size": raw["expert_intermediate_size"], "rope_theta": int(raw["rope_theta"])}
        case 4:
            raw |= {"n_group": -2, "routed_scaling_factor": 1.0, "moe_layer_freq": 1, "partial_rotary_factor": -1}
    items = rng.sample(list(raw.items()), len(raw))
    text = json.dumps(dict(items), indent=rng.choice([None, 7, "\t"])) + rng.choice(["", "\n\n", " " * 5000])
    (folder / CONFIG).write_text(text)
    return SAME


def json_twice(rng: random.Random, folder: Path) -> str:
    """A field or tensor that is there twice, with the same value or another."""
    path = folder / rng.choice([CONFIG, *([INDEX] if (folder / INDEX).exists() else [])])
    raw = json.loads(path.read_text())
    name = rng.choice(list(raw))
    twice = json.dumps({name: rng.choice([raw[name], mutated_value(rng, raw[name])])})
    path.write_text(f"{twice[:-1]}, {json.dumps(raw)[1:]}")
    return REFUSED


def any_bytes(rng: random.Random, folder: Path) -> str:
    """Bytes of a JSON file."""
    path = rng.choice([folder / CONFIG, folder / TOKENIZER, *folder.glob(INDEX)])
    path.write_bytes(mutated_bytes(rng, path.read_bytes()))
    return LAWFUL


def any_json(rng: random.Random, folder: Path) -> str:
    """One value of a JSON file, at any depth."""
    path = rng.choice([folder / CONFIG, folder / TOKENIZER, *folder.glob(INDEX)])
    path.write_text(json.dumps(with_one_value_mutated(rng, json.loads(path.read_text()))))
    return LAWFUL


def shard(rng: random.Random, folder: Path) -> Path:
    return rng.choice(sorted(folder.glob("*.safetensors")))


def split(path: Path) -> tuple[bytes, bytes]:
    """Header and data of a safetensors file."""
    whole = path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    return whole[8:end], whole[end:]


def write_parts(path: Path, header: bytes, data: bytes) -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


def header_bytes(rng: random.Random, folder: Path) -> str:
    path = shard(rng, folder)
    header, data = split(path)
    write_parts(path, mutated_bytes(rng, header), data)
    return LAWFUL


def header_value(rng: random.Random, folder: Path) -> str:
    path = shard(rng, folder)
    header, data = split(path)
    write_parts(path, json.dumps(with_one_value_mutated(rng, json.loads(header))).encode(), data)
    return LAWFUL


def header_length(rng: random.Random, folder: Path) -> str:
    path = shard(rng, folder)
    header, data = split(path)
    length = rng.choice([0, 1, len(header) - 1, len(header) + 8, 1 << 26, 10**8, 10**8 + 1, 1 << 40, (1 << 64) - 1])
    path.write_bytes(length.to_bytes(8, "little") + header + data)
    return LAWFUL


def header_harmless(rng: random.Random, folder: Path) -> str:
    """The same entries in another order, with metadata and spaces."""
    path = shard(rng, folder)
    header, data = split(path)
    entries = json.loads(header)
    entries.pop("__metadata__", None)
    mixed = dict(rng.sample(list(entries.items()), len(entries)))
    metadata = rng.choice([{}, {"__metadata__": {}}, {"__metadata__": {"format": "pt", "note": "é" * 300}}])
    write_parts(path, json.dumps(metadata | mixed).encode() + b" " * rng.randrange(40), data)
    return SAME


def header_twice(rng: random.Random, folder: Path) -> str:
    path = shard(rng, folder)
    header, data = split(path)
    name, entry = rng.choice(list(json.loads(header).items()))
    write_parts(path, json.dumps({name: entry}).encode()[:-1] + b"," + header[1:], data)
    return REFUSED


def data_bits(rng: random.Random, folder: Path) -> str:
    path = shard(rng, folder)
    header, data = split(path)
    changed = bytearray(data)
    for _ in range(rng.choice([1, 5, 200])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    write_parts(path, header, bytes(changed))
    return LAWFUL


def data_not_finite(rng: random.Random, folder: Path) -> str:
    """A NaN or an infinity in some tensor."""
    path = shard(rng, folder)
    header, data = split(path)
    entry = rng.choice([entry for name, entry in json.loads(header).items() if name != "__metadata__"])
    size = {"BF16": 2, "F32": 4}[entry["dtype"]]
    at = rng.randrange(entry["data_offsets"][0], entry["data_offsets"][1], size) + size
    high = rng.choice([b"\xc0\x7f", b"\x80\x7f", b"\x80\xff", b"\xff\xff"])
    write_parts(path, header, data[: at - 2] + high + data[at:])
    return REFUSED


def data_size(rng: random.Random, folder: Path) -> str:
    """Cut short, or longer than the header says; up to 5 GiB that are not on the disk."""
    path = shard(rng, folder)
    size = path.stat().st_size
    os.truncate(path, rng.choice([0, 1, 7, 8, 9, size // 2, size - 1, size + 1, size + 4096, 5 << 30]))
    return REFUSED


def index_harmless(rng: random.Random, folder: Path) -> str:
    path = folder / INDEX
    if path.exists():
        raw = json.loads(path.read_text())
        raw |= {"metadata": {"total_size": mutated_value(rng, 1 << 20), "total_parameters": "many"}}
        raw["weight_map"] = dict(rng.sample(list(raw["weight_map"].items()), len(raw["weight_map"])))
        text = json.dumps(raw)
        path.write_text(text if "NaN" not in text and "Infinity" not in text and len(text) < 50_000 else "")
        return SAME if path.stat().st_size else REFUSED
    return SAME


def index_shard(rng: random.Random, folder: Path) -> str:
    """A tensor, or all of a shard, is said to be somewhere else."""
    path = folder / INDEX
    if not path.exists():
        path.write_text(json.dumps({"weight_map": rng.choice([{}, {"a": "model.safetensors"}, [], None])}))
        return REFUSED
    raw = json.loads(path.read_text())
    name, where = rng.choice(list(raw["weight_map"].items()))
    names = ["", ".", "..", "../x", f"./{where}", f"{folder}/{where}", "a\0b", "x" * 300, CONFIG, "gone.safetensors"]
    other = rng.choice([*names, None, 3, [where], *(set(raw["weight_map"].values()) - {where})])
    whole = rng.random() < 0.5
    raw["weight_map"] |= {n: other for n, w in raw["weight_map"].items() if n == name or (whole and w == where)}
    path.write_text(json.dumps(raw))
    return REFUSED


def moved_file(rng: random.Random, folder: Path) -> str:
    """A link to the file, as the hub's cache has it: the same checkpoint."""
    path = rng.choice([p for p in folder.iterdir() if p.is_file()])
    real = folder.with_name("blobs") / "a1b2"
    real.parent.mkdir()
    path.rename(real)
    if rng.random() < 0.5:
        path.symlink_to(rng.choice([real, Path("..") / "blobs" / "a1b2"]))
    else:
        path.hardlink_to(real)
    return SAME


def no_file(rng: random.Random, folder: Path) -> str:
    path = rng.choice([p for p in folder.iterdir() if p.is_file()])
    return LAWFUL if replaced_file(rng, path) == "nothing" and path.name == TOKENIZER else REFUSED


def strangers(rng: random.Random, folder: Path) -> str:
    """Files and folders that checkpoints come with."""
    for name in rng.sample(["README.md", "pytorch_model.bin", "modeling_lladamoe.py", "merges.txt", "é\n.txt"], 3):
        (folder / name).write_bytes(rng.randbytes(100))
    (folder / ".git").mkdir()
    return SAME


def tokenizer_harmless(rng: random.Random, folder: Path) -> str:
    """Asks for truncation, padding or dropout, none of which a prompt may get."""
    path = folder / TOKENIZER
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=40, pad_id=22)
    tokenizer.save(str(path))
    raw = json.loads(path.read_text())
    raw["model"]["dropout"] = rng.choice([None, 0.5, 1.0])
    path.write_text(json.dumps(raw))
    return SAME


def tokenizer_ids(rng: random.Random, folder: Path) -> str:
    """A letter of the prompt has another id, of the model's vocabulary or not."""
    path = folder / TOKENIZER
    raw = json.loads(path.read_text())
    raw["model"]["vocab"][rng.choice(PROMPT)] = rng.choice([11, 21, 22, 23, 24, 1000, (1 << 32) - 1, 1 << 32, -1])
    path.write_text(json.dumps(raw))
    return LAWFUL


MUTATIONS: list[Mutation] = [
    *([config_value] * 4 + [config_type, config_without, config_unknown, config_harmless, json_twice]),
    *([any_bytes] * 3 + [any_json] * 3),
    *([header_bytes] * 2 + [header_value] * 4 + [header_length, header_harmless, header_twice]),
    *[data_bits, data_not_finite, data_size],
    *[index_harmless, index_shard, moved_file, no_file, strangers, tokenizer_harmless, tokenizer_ids],
]


def case(seed: int, work: Path) -> str:
    """One mutated checkpoint; what came of it in a word."""
    rng = random.Random(seed)
    original, before = rng.choice(originals())
    folder, out = work / "checkpoint", work / "quantized"
    shutil.copytree(original, folder)
    mutation = rng.choice(MUTATIONS)
    must = mutation(rng, folder)
    try:
        assert list(info_parts(info(folder, config_only=True, scan=False)))
        found = meaning(folder, out)
    except UserError as error:
        message = str(error)
        assert must != SAME, f"{mutation.__name__}: harmless, but refused: {message}"
        assert "\n" not in message and message.encode() and len(message) < LONGEST_MESSAGE, message
        assert not QuantizedCheckpoint.is_quantized(out) or "model.layers" in message or "head" in message, message
        return f"{mutation.__name__}: refused"
    assert must != REFUSED, f"{mutation.__name__}: accepted"
    if must == SAME:
        assert found == before
    check_config(folder / CONFIG, original / CONFIG, found.config)
    check_tensors(folder, found.tensors)
    check_ids(folder, found.ids, found.config["vocab_size"])
    return f"{mutation.__name__}: accepted"
