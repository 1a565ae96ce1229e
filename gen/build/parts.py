"""Parts of a build: written in a folder of their own, wherever that is done, and put in their place by one process."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from hardloom.gen.build.dropped import Dropped, check_dropped
from hardloom.gen.build.names import check_files
from hardloom.gen.text.prefix import prefixed, with_prefix
from hardloom.golden.errors import UserError
from hardloom.golden.files import COMPRESSED, Contents, check_replaceable, write_at_once
from hardloom.golden.folders import MARK, delete, inside

__all__ = ["Entry", "Staged", "stage", "staging"]

STAGED = f"{MARK}-staged"
"""Folder of what is written and not yet in its place, within that of the build."""


@dataclass(frozen=True)
class Entry:
    """A finished part of a build: its files with their SHA-256, and what else is known of it, as JSON.

    dropped: of its files those whose text is gone, and what `Dropped.to_json` says of it.
    """

    part: str
    files: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    dropped: dict[str, Any] = field(default_factory=dict)

    @property
    def there(self) -> dict[str, str]:
        """Its files but for those whose text is gone."""
        return {name: digest for name, digest in self.files.items() if name not in self.dropped}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Entry":
        """From a line of a journal.

        Raises KeyError, TypeError, AttributeError or ValueError where it is something else.
        """
        if not isinstance(values["part"], str) or not isinstance(values["facts"], dict):
            raise ValueError("part is no name, or facts are no object")
        files = check_files(values["files"])
        dropped = values.get("dropped", {})
        check_dropped(dropped, files)
        return cls(values["part"], files, values["facts"], dropped)


@dataclass(frozen=True)
class Staged:
    """A part whose files are written: in `folder`, below `STAGED`, numbered as the entry has them."""

    entry: Entry
    folder: str

    def paths(self, out: Path) -> dict[str, Path]:
        """Where its files are, by the names that they will have in the build folder `out`."""
        return {name: out / STAGED / self.folder / staged(n, name) for n, name in enumerate(self.entry.files)}

    def without(self, out: Path, name: str, dropped: Dropped) -> "Staged":
        """It, the text of its file `name` deleted, of which nothing stays but its hash and `dropped`."""
        self.paths(out)[name].unlink()
        return replace(self, entry=replace(self.entry, dropped={name: dropped.to_json()}))

    def put(self, out: Path) -> None:
        """Its files to their places in the build folder `out`, where none is of those whose text is gone.

        Raises `UserError` where something else is there.
        """
        paths = self.paths(out)
        for name in self.entry.there:
            target = inside(out, name)
            check_replaceable(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(paths[name], target)
        for name in self.entry.dropped:
            delete(out, name)
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
        path = out / STAGED / folder / staged(number, name)
        hashes[name] = write_at_once(path, with_prefix(text, module_prefix), name.endswith(COMPRESSED))
    return Staged(Entry(part, hashes, facts or {}), folder)


def staged(number: int, name: str) -> str:
    """What the file `name`, one of several of a part, is called as long as it is not in its place."""
    return f"{number}{COMPRESSED if name.endswith(COMPRESSED) else ''}"


def with_module_prefix(file: str, module_prefix: str) -> str:
    path = PurePosixPath(file)
    return str(path.with_name(prefixed(path.name, module_prefix)))
