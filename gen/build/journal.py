"""The journal of a build: which of its parts are done, and the files of each."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from golden.files import Contents, sha256, write_file

__all__ = ["JOURNAL", "Entry", "Journal"]

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """A finished part of a build: its files with their SHA-256, and what else is known of it, as JSON."""

    part: str
    files: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)


class Journal:
    """What of a build is done: one JSON line a finished part, after its files are in place.

    Lines of another input (another `key`), or whose files changed, count as not done.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path, self.key = folder, folder / JOURNAL, key
        self.parts: dict[str, Entry] = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    values = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if values.pop("key") == key:
                    self.parts[values["part"]] = Entry(**values)

    def done(self, part: str) -> Entry | None:
        """The entry of a finished part whose files are all as they were written."""
        entry = self.parts.get(part)
        if entry is None or any(
            not (self.folder / f).is_file() or sha256(self.folder / f) != h for f, h in entry.files.items()
        ):
            return None
        return entry

    def make(self, part: str, files: Mapping[str, Contents], facts: dict[str, Any] | None = None) -> Entry:
        """Write a part's files; its entry, to be given to `add`."""
        hashes = {name: write_file(self.folder / name, contents) for name, contents in sorted(files.items())}
        return Entry(part, hashes, facts or {})

    def add(self, entry: Entry) -> Entry:
        """Write the line of a part, unless it is there; not from two threads at once."""
        if self.parts.get(entry.part) is not entry:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": self.key, **asdict(entry)}) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.parts[entry.part] = entry
        return entry

    def write(self, part: str, files: Mapping[str, Contents]) -> Entry:
        """Write a part's files, then its line."""
        return self.add(self.make(part, files))
