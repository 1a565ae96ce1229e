"""The user's cache: what was made in passing and can be made again; executables are nowhere else."""

import hashlib
import os
from pathlib import Path

from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file

__all__ = ["ORIGIN", "cache_folder", "entry", "work_folder"]

ORIGIN = "checkpoint"
"""File of an entry that says which checkpoint, or build folder, it was made from."""


def cache_folder() -> Path:
    """Where things are kept that were made in passing: `$HARDLOOM_CACHE`, or hardloom in the user's cache folder."""
    if given := os.environ.get("HARDLOOM_CACHE"):
        folder = Path(given)
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hardloom"
    if "\n" in str(folder):
        raise UserError(f"{str(folder)!r}: a path of several lines; set HARDLOOM_CACHE to a folder without line breaks")
    return folder


def entry(key: str, origin: Path) -> Path:
    """The folder of the entry `key`, 24 hex digits of a hash; `origin`: what it is made from."""
    folder = cache_folder() / key
    write_file(folder / ORIGIN, f"{origin.resolve()}\n")
    return folder


def work_folder(build: Path, what: str) -> Path:
    """Where simulators of the build folder `build` are made and run, `what` for; never in it: it came from anywhere."""
    key = hashlib.sha256(f"work {build.resolve()}".encode()).hexdigest()[:24]
    return entry(key, build) / what
