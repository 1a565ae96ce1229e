"""The cache: chips that `hardloom sample --engine rtl` built in passing, a folder a checkpoint (docs/chip.md)."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.console.report import Part, table
from hardloom.golden.cache import ORIGIN, cache_folder
from hardloom.golden.folders import stored_bytes

__all__ = ["Entry", "cached", "empty", "listing"]

KEY = re.compile(r"[0-9a-f]{24}", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """One of the cache. checkpoint: or build folder, that it was made from; chips: how many; size: in bytes."""

    folder: str
    checkpoint: str
    chips: int
    size: int


def folders() -> list[Path]:
    """The entries' folders: what else lies beside them is not ours."""
    held = cache_folder()
    return (
        sorted(path for path in held.iterdir() if KEY.fullmatch(path.name) and path.is_dir()) if held.is_dir() else []
    )


def cached() -> list[Entry]:
    """Every entry."""
    found = []
    for folder in folders():
        origin = folder / ORIGIN
        name = origin.read_text().strip() if origin.is_file() else ""
        found.append(Entry(str(folder), name, len(list(folder.glob("chip-*"))), stored_bytes(folder)))
    return found


def empty() -> list[Entry]:
    """Delete every entry; what there was."""
    found = cached()
    for folder in folders():
        shutil.rmtree(folder)
    return found


def listing(found: list[Entry], what: str) -> Iterator[Part]:
    """A line an entry, and their sum. what: "held" or "deleted"."""
    rows = [(row.folder, row.checkpoint, f"{row.chips}", f"{row.size / 2**20:,.1f}") for row in found]
    if rows:
        yield table(("folder", "checkpoint", "chips", "MiB"), rows, left=("folder", "checkpoint"))
    size = sum(row.size for row in found)
    yield f"{cache_folder()}: {len(found)} entries {what}, {size / 2**20:,.1f} MiB"
