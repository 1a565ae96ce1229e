"""Mutations of the folder, its index and its tokenizer: they change a folder, and say what must come of it."""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer

from tests.fuzz.checkpoints.meaning import CONFIG, INDEX, PROMPT, TOKENIZER
from tests.fuzz.checkpoints.outcomes import LAWFUL, REFUSED, SAME
from tests.fuzz.mutations import mutated_value, replaced_file

__all__ = ["FILE_MUTATIONS"]


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


FILE_MUTATIONS = [index_harmless, index_shard, moved_file, no_file, strangers, tokenizer_harmless, tokenizer_ids]
