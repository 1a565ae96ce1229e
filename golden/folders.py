"""Folders that we may write to: empty ones, and those that an earlier run of ours marked as its own."""

from pathlib import Path

from golden.errors import UserError
from golden.files import write_file

__all__ = ["MARK", "claim"]

MARK = ".hardloom"
"""File in every folder that a command makes; its text is what the folder is for."""


def claim(folder: Path, kind: str) -> None:
    """Make `folder`, or make sure that it is ours to write to, and mark it as a `kind` ("build", "checkpoint" ...).

    Raises `UserError` where it is no folder, or holds anything without our mark, or with the mark of another kind.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a new folder with -o")
    mark = folder / MARK
    if mark.is_file() and not mark.is_symlink():
        marked = mark.read_bytes()[:100].decode(errors="replace").strip()
        if marked != kind:
            raise UserError(f"{folder}: holds a {marked}, and this makes a {kind}; name a new folder with -o")
        return
    if folder.is_dir() and any(not path.name.startswith(MARK) for path in folder.iterdir()):
        raise UserError(f"{folder}: is not empty and no {kind} of ours (it has no {MARK}); name a new folder with -o")
    write_file(mark, kind + "\n")
