"""Ways to spoil a file that somebody else wrote: values, bytes, and what stands where a file should."""

import os
import random
from pathlib import Path
from typing import Any

__all__ = ["mutated_bytes", "mutated_value", "replaced_file", "with_one_value_mutated"]


def mutated_value(rng: random.Random, value: Any) -> Any:
    """Something in the place of a JSON value: another type, a neighbour, an extreme."""
    deep: Any = []
    for _ in range(rng.choice([3, 300])):
        deep = [deep]
    anything = [
        *(None, True, False, 0, 1, -1, -2, 2, 3, 1 << 31, (1 << 53) + 1, 1 << 63, 10**30, 10**400),
        *(0.0, -0.0, 0.5, 1e-320, 1e308, float("nan"), float("inf")),
        *("", "0", "null", "silu", "../x", "/etc/passwd", "a\nb", "a\0b", "\ud800", "é" * 300, "x" * 100_000),
        *([], [1], [[]], {}, {"a": 1}, deep),
    ]
    near: list[Any] = [[value], {"value": value}, str(value)]
    if isinstance(value, int | float):
        near += [value + 1, value - 1, -value, 2 * value, value // 2, float(value)]
    if isinstance(value, str):
        near += [value + "x", value[:-1], value.upper(), " " + value]
    if isinstance(value, list):
        near += [value[:-1], value + value[-1:], value[::-1]]
    return rng.choice(rng.choice([anything, near]))


def with_one_value_mutated(rng: random.Random, raw: Any) -> Any:
    """A copy of a JSON value in which one place, at any depth, is mutated, removed, or doubled."""
    if not isinstance(raw, dict | list) or not raw or rng.random() < 0.1:
        return mutated_value(rng, raw)
    keys: list[Any] = list(raw) if isinstance(raw, dict) else list(range(len(raw)))
    key, copy = rng.choice(keys), raw.copy()
    match rng.randrange(8):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[rng.choice([f"{key}x", str(key).upper(), "", "\ud800", "a\nb", "x" * 70_000])] = copy[key]
        case _:
            copy[key] = with_one_value_mutated(rng, copy[key])
    return copy


def mutated_bytes(rng: random.Random, text: bytes) -> bytes:
    """Some bytes flipped, replaced, inserted, doubled or cut off."""
    changed = bytearray(text)
    for _ in range(rng.choice([1, 1, 1, 3, 10])):
        at = rng.randrange(len(changed) + 1)
        piece = rng.choice([b"\0", b"\xff", b'"', b"{", b"}", b",", b"9", b"-", b"\n", b"\xef\xbb\xbf", b"e999"])
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = piece
            case 1:
                changed[at:at] = piece
            case 2:
                changed[at:at] = changed[at : at + rng.randrange(1, 60)]
            case 3:
                del changed[at : at + rng.randrange(1, 60)]
            case 4 if rng.random() < 0.3:
                del changed[at:]
            case _ if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def replaced_file(rng: random.Random, path: Path) -> str:
    """Put something that is no file, or an empty one, where `path` is; says what."""
    what = rng.choice(["nothing", "empty", "directory", "fifo", "zero", "null", "loop", "dangling"])
    path.unlink()
    match what:
        case "empty":
            path.touch()
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "zero" | "null":
            path.symlink_to(f"/dev/{what}")
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere/at/all")
    return what
