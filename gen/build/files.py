"""Files of a build: written whole or not at all, hashed as they are written, and a journal of what is done."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import zstandard

__all__ = ["COMPRESSED", "JOURNAL", "Journal", "read_pieces", "sha256", "write_file", "write_pieces"]

JOURNAL = "journal.jsonl"
COMPRESSED = ".zst"
"""Suffix of a file that holds a Zstandard frame of the text."""
BUFFER = 1 << 20

Contents = str | bytes | Iterable[bytes]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, contents: bytes) -> str:
    """Write atomically, making parent folders; the SHA-256 of the contents."""
    return write_pieces(path, [contents])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> str:
    """Write `pieces` one after the other, atomically, making parent folders; the SHA-256 of the file.

    A path that ends in `COMPRESSED` gets them compressed. Memory holds one piece. Threads may write one path at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    main = threading.current_thread() is threading.main_thread()
    partial = path.with_name(f"{path.name}{'' if main else f'.{threading.get_ident()}'}.part")
    digest = hashlib.sha256()
    with partial.open("wb") as file:
        for piece in compressed(pieces) if path.name.endswith(COMPRESSED) else pieces:
            digest.update(piece)
            file.write(piece)
    os.replace(partial, path)
    return digest.hexdigest()


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def read_pieces(path: Path) -> tuple[bytes, str]:
    """The text of a file, decompressed where its name says so, and the SHA-256 of the file; it is read once."""
    contents = path.read_bytes()
    digest = hashlib.sha256(contents).hexdigest()
    if path.name.endswith(COMPRESSED):
        contents = zstandard.ZstdDecompressor().decompressobj().decompress(contents)
    return contents, digest


class Journal:
    """What of a build is done: one JSON line a finished part, after its files are in place.

    Lines of another input (another `key`), or whose files changed, count as not done.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path, self.parts = folder, folder / JOURNAL, {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if entry["key"] == key:
                    self.parts[entry["part"]] = entry
        self.key = key

    def done(self, part: str) -> dict[str, Any] | None:
        """The entry of a finished part whose files are all as they were written."""
        entry = self.parts.get(part)
        if entry is None or any(
            not (self.folder / f).is_file() or sha256(self.folder / f) != h for f, h in entry["files"].items()
        ):
            return None
        return entry

    def make(self, part: str, files: Mapping[str, Contents], facts: dict[str, Any]) -> dict[str, Any]:
        """Write a part's files; its entry, to be given to `add`."""
        hashes = {}
        for name, text in sorted(files.items()):
            pieces = [text.encode()] if isinstance(text, str) else [text] if isinstance(text, bytes) else text
            hashes[name] = write_pieces(self.folder / name, pieces)
        return {"key": self.key, "part": part, "files": hashes, "facts": facts}

    def add(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Write the line of a part, unless it is there; not from two threads at once."""
        if self.parts.get(entry["part"]) is not entry:
            with self.path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.parts[entry["part"]] = entry
        return entry

    def write(self, part: str, files: Mapping[str, Contents], facts: dict[str, Any]) -> dict[str, Any]:
        """Write a part's files, then its line."""
        return self.add(self.make(part, files, facts))
