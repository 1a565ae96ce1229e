"""Who spoils a build may set right the hashes that would betray it: none, those of the files, or the seals too."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hardloom.gen.build.folder import MANIFEST
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.seal import sealed
from hardloom.golden.files import sha256

__all__ = ["FORGERIES", "hashes", "nothing", "seals"]


def nothing(folder: Path) -> None:
    """No hash is touched."""


def hashes(folder: Path) -> None:
    """Those of the files, in manifest and journal, are right."""
    forge(folder, lambda values: values)


def seals(folder: Path) -> None:
    """Those of manifest and journal are right too: nothing betrays who did it but the files' contents."""
    forge(folder, sealed)


def forge(folder: Path, seal: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for name, one in ((MANIFEST, "".join), (JOURNAL, "\n".join)):
        path = folder / name
        if path.is_file():
            texts = path.read_bytes().split(b"\n") if name == JOURNAL else [path.read_bytes()]
            path.write_bytes(one(rehashed(folder, text, seal).decode("latin1") for text in texts).encode("latin1"))


def rehashed(folder: Path, text: bytes, seal: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """An object of JSON with hashes set right; anything else as it is."""
    with suppress(ValueError, RecursionError, TypeError):
        values = json.loads(text)
        if not isinstance(values, dict):
            return text
        if isinstance(values.get("files"), dict):
            values["files"] |= {name: sha256(folder / name) for name in values["files"] if is_file(folder, name)}
        return json.dumps(seal(values)).encode()
    return text


def is_file(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file()
    except (OSError, ValueError):
        return False


FORGERIES = [nothing, hashes, seals]
