"""The journal of a build: which of its parts are done, the files of each, and every file that is ours to delete."""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gen.build.names import check_files, is_build_file
from gen.build.seal import is_sealed, sealed
from gen.text.prefix import prefixed, with_prefix
from golden.checkpoints.json_files import parse_json_object, read_regular_file
from golden.files import Contents, write_file
from golden.folders import holds, inside

__all__ = ["JOURNAL", "Entry", "Journal"]

JOURNAL = "journal.jsonl"


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


class Journal:
    """What of a build is done: one JSON line a finished part, after its files are in place.

    Lines of another input (another `key`), or whose files changed, count as not done; lines that are damaged count as
    not there. Before a file is written, a line names it, so that a later run knows what it may delete.

    Attributes
    ----------
    owned: names of files that this run, or one before it, wrote or was about to write.
    """

    def __init__(self, folder: Path, key: str, owned: Iterable[str] = (), module_prefix: str = "") -> None:
        """Of `folder`: what an earlier journal there holds is kept; `owned`: more files that are ours.

        module_prefix: of all modules, and of the files that are named after them (`gen.text.prefix`).
        """
        self.folder, self.path, self.key, self.module_prefix = folder, folder / JOURNAL, key, module_prefix
        self.parts: dict[str, Entry] = {}
        self.owned = set(owned)
        self._lock = threading.Lock()
        for line in self._lines():
            self.owned.update(line.owned)
            if line.entry is not None and line.key == key:
                self.parts[line.entry.part] = line.entry
        kept = [self._done_line(entry) for entry in self.parts.values()]
        write_file(self.path, "".join([owned_line(self.owned), *kept]))

    def _lines(self) -> Iterable["Line"]:
        """Lines of an earlier journal that can be read; none of a link, which is not ours."""
        if not self.path.is_file() or self.path.is_symlink():
            return
        for text in read_regular_file(self.path).splitlines():
            try:
                yield Line.from_json(parse_json_object(text))
            except (ValueError, KeyError):
                continue

    def _done_line(self, entry: Entry) -> str:
        return line_of({"key": self.key, **asdict(entry)})

    def _append(self, line: str) -> None:
        with self._lock, self.path.open("a") as file:
            file.write(line)

    def done(self, part: str) -> Entry | None:
        """The entry of a finished part whose files are all as they were written."""
        entry = self.parts.get(part)
        whole = entry is not None and all(holds(self.folder, *file) for file in entry.files.items())
        return entry if whole else None

    def make(self, part: str, files: Mapping[str, Contents], facts: dict[str, Any] | None = None) -> Entry:
        """Write a part's Verilog files; its entry, to be given to `add`. From any thread."""
        files = {self._prefixed(name): with_prefix(text, self.module_prefix) for name, text in files.items()}
        self._append(owned_line(files))
        self.owned.update(files)
        hashes = {name: write_file(inside(self.folder, name), text) for name, text in sorted(files.items())}
        return Entry(part, hashes, facts or {})

    def _prefixed(self, file: str) -> str:
        path = PurePosixPath(file)
        return str(path.with_name(prefixed(path.name, self.module_prefix)))

    def add(self, entry: Entry) -> Entry:
        """Write the line of a part, unless it is there; not from two threads at once."""
        if self.parts.get(entry.part) is not entry:
            self._append(self._done_line(entry))
            self.parts[entry.part] = entry
        return entry

    def write(self, part: str, files: Mapping[str, Contents]) -> Entry:
        """Write a part's files, then its line."""
        return self.add(self.make(part, files))


@dataclass(frozen=True)
class Line:
    """A line of a journal: files that are ours and, where it says that a part is done, its entry and the key."""

    owned: tuple[str, ...]
    key: str | None = None
    entry: Entry | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Line":
        """Raises KeyError or ValueError where it is something else."""
        if not is_sealed(values):
            raise ValueError("it is damaged")
        if isinstance(values.get("owned"), list):
            return cls(tuple(filter(is_build_file, values["owned"])))
        entry = Entry.from_json(values)
        return cls(tuple(entry.files), values["key"], entry)


def owned_line(names: Iterable[str]) -> str:
    return line_of({"owned": sorted(names)})


def line_of(values: dict[str, Any]) -> str:
    return json.dumps(sealed(values)) + "\n"
