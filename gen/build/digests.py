"""Hashes of what a build depends on: the code that writes it, and the quantized checkpoint."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import FILES, QuantizedCheckpoint

__all__ = ["DECIDES_NOTHING", "code_digest", "generator_digest", "quantized_hashes", "same_checkpoint"]

DECIDES_NOTHING = ("golden/training/",)
"""Folders of the floors below whose code no emitted text depends on."""


@cache
def code_digest(*floors: str) -> str:
    """Hash of code and templates of `floors` ("golden"), but for `DECIDES_NOTHING`; as they were when first asked."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for floor in floors:
        for path, name in code_files(root, floor):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def code_files(root: Path, floor: str) -> Iterator[tuple[Path, str]]:
    """Files of a floor, with their names below `root`, in order."""
    for path in sorted((root / floor).rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix in (".py", ".j2") and not name.startswith(DECIDES_NOTHING):
            yield path, name


def generator_digest() -> str:
    """Hash of the code that decides what is emitted: a changed generator never takes an old build for its own."""
    return code_digest("golden", "gen", "rtl_templates")


def quantized_hashes(checkpoint: QuantizedCheckpoint) -> dict[str, str]:
    """SHA-256 of the quantized checkpoint's files, by name; `UserError` where one was changed since it was opened."""
    hashes = {name: sha256(checkpoint.path / name) for name in FILES if (checkpoint.path / name).is_file()}
    checkpoint.check_unchanged()
    return hashes


def same_checkpoint(path: Path, hashes: tuple[tuple[str, str], ...]) -> QuantizedCheckpoint:
    """The quantized checkpoint in the folder `path`, its files being those of `hashes`, as pairs of `quantized_hashes`.

    Raises `UserError` where this machine has others there.
    """
    checkpoint = QuantizedCheckpoint(path)
    if quantized_hashes(checkpoint) != dict(hashes):
        raise UserError(f"{path}: differs on a worker; put it on a file system that all machines share")
    return checkpoint
