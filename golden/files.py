"""Files that appear whole or not at all: written beside their place, hashed on the way, then put into it."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zstandard

from hardloom.golden.errors import UserError

__all__ = [
    "COMPRESSED",
    "PARTIAL",
    "Contents",
    "check_replaceable",
    "read_pieces",
    "replacing",
    "sha256",
    "stamp",
    "stamped",
    "write_at_once",
    "write_file",
    "write_json",
]

COMPRESSED = ".zst"
"""Suffix of a file that holds a Zstandard frame of the text."""

PARTIAL = ".hardloom-part"
"""Suffix of a file that is being written: no file of anybody else has it, so that what a killed run left may go."""

READ_AT_ONCE = 1 << 20
"""Bytes."""

Contents = str | bytes | Iterable[bytes]
"""What a file is made of: text, in UTF-8, bytes, or pieces of bytes one after the other."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_replaceable(path: Path) -> None:
    """Raise `UserError` where `path` is there and no regular file."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no regular file; name a file to write")


def stamp(found: os.stat_result) -> tuple[int, ...]:
    """What changes of a file when another takes its place, or it is written to."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, whose parents are made, to write to; it becomes `path` as the block ends.

    Where the block raises, what it wrote goes. Threads may write one path at once, each beside it under a name of its
    own; what a killed process leaves is overwritten by the next one.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    main = threading.current_thread() is threading.main_thread()
    partial = path.with_name(f"{path.name}{'' if main else f'.{threading.get_ident()}'}{PARTIAL}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # what a full disk raises names no file
        raise
    finally:
        partial.unlink(missing_ok=True)  # after an exception; and where both were names of one file already


def write_file(path: Path, contents: Contents) -> str:
    """Write `contents` atomically, making parent folders; the SHA-256 of the file.

    A path that ends in `COMPRESSED` gets them compressed. Memory holds one piece. Threads may write one path at once.
    """
    with replacing(path) as partial:
        return write_at_once(partial, contents, path.name.endswith(COMPRESSED))


def write_at_once(path: Path, contents: Contents, compress: bool) -> str:
    """Write `contents`, which nobody looks for before this ends, to `path`, whose folder is there; the SHA-256."""
    whole = contents.encode() if isinstance(contents, str) else contents
    pieces = [whole] if isinstance(whole, bytes) else whole
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in compressed(pieces) if compress else pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def write_json(path: Path, contents: Any) -> str:
    """Write `contents` as JSON, a line a field, atomically; the SHA-256 of the file."""
    return write_file(path, json.dumps(contents, indent=1) + "\n")


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def read_pieces(path: Path, digest: "hashlib._Hash") -> Iterator[bytes]:
    """The text of a file in pieces, decompressed where its name says so; `digest` takes in the bytes of the file.

    Of several frames it is the text of all of them, as every tool has it. Where what is compressed is damaged, or ends
    within a frame, the text ends with a zero, which is in no text of ours.
    """
    frames = _Frames() if path.name.endswith(COMPRESSED) else None
    with path.open("rb") as file:
        while piece := file.read(READ_AT_ONCE):
            digest.update(piece)
            yield piece if frames is None else frames.text(piece)
    if frames is not None and not frames.whole:
        yield b"\0"


class _Frames:
    """Zstandard frames, one behind the other, as their bytes come."""

    def __init__(self) -> None:
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._sound = True

    @property
    def whole(self) -> bool:
        """Whether nothing was damaged, and the last frame has ended."""
        return self._sound and self._frame is None

    def text(self, piece: bytes) -> bytes:
        """What the next bytes of the file add to the text."""
        found = []
        while piece and self._sound:
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            try:
                found.append(self._frame.decompress(piece))
            except zstandard.ZstdError:
                self._sound = False
                break
            piece = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None
        return b"".join(found)


@contextmanager
def stamped(stamp: Path, key: str) -> Iterator[bool]:
    """Yields whether the files that `stamp` stands for must be made, because it does not hold `key`.

    It holds `key` once the block that makes them has ended, and nothing where that raises or is killed. key: a hash of
    everything that the files depend on.
    """
    stale = not stamp.is_file() or stamp.read_text() != key
    if stale:
        stamp.unlink(missing_ok=True)
    yield stale
    if stale:
        write_file(stamp, key)
