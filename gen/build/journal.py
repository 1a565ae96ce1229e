"""The journal of a build: which of its parts are done, the files of each, and every file that is ours to delete."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardloom.gen.build.names import is_build_file
from hardloom.gen.build.parts import Entry, Staged, stage
from hardloom.gen.build.seal import is_sealed, sealed
from hardloom.golden.checkpoints.json_files import parse_json_object, read_regular_file
from hardloom.golden.files import Contents, write_file
from hardloom.golden.folders import holds

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "journal.jsonl"


class Journal:
    """What of a build is done: one JSON line a finished part, after its files are in place.

    Lines of another input (another `key`), or whose files changed, count as not done; lines that are damaged count as
    not there. Before a file is put in its place, a line names it, so that a later run knows what it may delete.

    Attributes
    ----------
    owned: names of files that this run, or one before it, put in place or was about to.
    """

    def __init__(self, folder: Path, key: str, owned: Iterable[str] = (), module_prefix: str = "") -> None:
        """Of `folder`: what an earlier journal there holds is kept; `owned`: more files that are ours.

        module_prefix: of all modules, and of the files that are named after them (`gen.text.prefix`).
        """
        self.folder, self.path, self.key, self.module_prefix = folder, folder / JOURNAL, key, module_prefix
        self.parts: dict[str, Entry] = {}
        self.owned = set(owned)
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
            except (ValueError, KeyError, TypeError, AttributeError):
                continue

    def _done_line(self, entry: Entry) -> str:
        return line_of({"key": self.key, **asdict(entry)})

    def _append(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(line)

    def done(self, part: str) -> Entry | None:
        """The entry of a finished part whose files, but for those whose text is gone, are all as they were written."""
        entry = self.parts.get(part)
        whole = entry is not None and all(holds(self.folder, *file) for file in entry.there.items())
        return entry if whole else None

    def add(self, staged: Staged) -> Entry:
        """Put a part's files in their places, then write its line; not from two threads at once."""
        entry = staged.entry
        self._append(owned_line(entry.files))
        self.owned.update(entry.files)
        staged.put(self.folder)
        self._append(self._done_line(entry))
        self.parts[entry.part] = entry
        return entry

    def write(self, part: str, files: Mapping[str, Contents], facts: dict[str, Any] | None = None) -> Entry:
        """Write a part's Verilog files, then its line; its entry."""
        return self.add(stage(self.folder, self.module_prefix, part, files, facts))


@dataclass(frozen=True)
class Line:
    """A line of a journal: files that are ours and, where it says that a part is done, its entry and the key."""

    owned: tuple[str, ...]
    key: str | None = None
    entry: Entry | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Line":
        """Raises KeyError, TypeError, AttributeError or ValueError where it is something else."""
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
