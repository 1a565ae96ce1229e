"""Parts of a build: written in a folder of their own, wherever that is done, and put in their place by one process."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from hardloom.gen.build.names import check_files
from hardloom.gen.text.prefix import prefixed, with_prefix
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED, Contents, check_replaceable, write_at_once
from hardloom.golden.folders import MARK, inside

__all__ = ["Entry", "Staged", "stage", "staging"]

STAGED = f"{MARK}-staged"
"""Folder of what is written and not yet in its place, within that of the build."""


@dataclass(frozen=True)
class Entry:
    """A finished part of a build: its files with their SHA-256, and what else is known of it, as JSON."""

    part: str
    files: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Entry":
        """From a line of a journal. Raises KeyError or ValueError where it is something else."""
        if not isinstance(values["part"], str) or not isinstance(values["facts"], dict):
            raise ValueError("part is no name, or facts are no object")
        return cls(values["part"], check_files(values["files"]), values["facts"])


@dataclass(frozen=True)
class Staged:
    """A part whose files are written: in `folder`, below `STAGED`, numbered as the entry has them."""

    entry: Entry
    folder: str

    def put(self, out: Path) -> None:
        """Its files to their places in the build folder `out`. Raises `UserError` where something else is there."""
        for number, name in enumerate(self.entry.files):
            target = inside(out, name)
            check_replaceable(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(out / STAGED / self.folder / str(number), target)
        shutil.rmtree(out / STAGED / self.folder)


@contextmanager
def staging(out: Path) -> Iterator[None]:
    """The build folder `out` has `STAGED`, empty, until the block ends. Raises `UserError` where that is no folder."""
    folder = out / STAGED
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder}: is no folder; remove it")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stage(
    out: Path, module_prefix: str, part: str, files: Mapping[str, Contents], facts: dict[str, Any] | None = None
) -> Staged:
    """Write a part's Verilog files below `out`/`STAGED`; from any thread, process or machine.

    No two calls write to one folder: a part may be made again while a process that is given up still makes it. That
    process, where it outlives the run and `STAGED` with it, comes to FileNotFoundError and leaves nothing.
    """
    folder, hashes = f"{part}.{uuid.uuid4().hex}", dict[str, str]()
    (out / STAGED / folder).mkdir()
    named = {with_module_prefix(name, module_prefix): text for name, text in files.items()}
    for number, (name, text) in enumerate(sorted(named.items())):
        path = out / STAGED / folder / str(number)
        hashes[name] = write_at_once(path, with_prefix(text, module_prefix), name.endswith(COMPRESSED))
    return Staged(Entry(part, hashes, facts or {}), folder)


def with_module_prefix(file: str, module_prefix: str) -> str:
    path = PurePosixPath(file)
    return str(path.with_name(prefixed(path.name, module_prefix)))
