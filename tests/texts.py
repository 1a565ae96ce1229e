"""Texts of files that may be compressed."""

import hashlib
from pathlib import Path

from hardloom.golden.files import read_pieces

__all__ = ["text_of"]


def text_of(path: Path) -> bytes:
    return b"".join(read_pieces(path, hashlib.sha256()))
