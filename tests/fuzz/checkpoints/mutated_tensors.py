"""Mutations of safetensors files: they change a folder, and say what must come of it."""

import json
import os
import random
from pathlib import Path

from tests.fuzz.checkpoints.outcomes import LAWFUL, REFUSED, SAME
from tests.fuzz.mutations import mutated_bytes, with_one_value_mutated

__all__ = ["TENSOR_MUTATIONS"]


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


TENSOR_MUTATIONS = [
    *([header_bytes] * 2 + [header_value] * 4 + [header_length, header_harmless, header_twice]),
    *[data_bits, data_not_finite, data_size],
]
