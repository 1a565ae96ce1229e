"""Whether a process elsewhere is one of ours: the same code and packages, the same files in sight."""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from hardloom.gen.build.digests import code_digest
from hardloom.golden.files import sha256

__all__ = ["Sight", "identity", "other_identity", "problem"]

FLOORS = ("golden", "rtl_templates", "gen", "verif", "flows")
PACKAGE = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Sight:
    """A folder that a process must see, told by a file in or above it that has a SHA-256; write: it writes there."""

    folder: Path
    file: Path
    digest: str
    write: bool = False

    def problem(self) -> str | None:
        """Why this process does not do, in words."""
        try:
            seen = self.file.is_file() and sha256(self.file) == self.digest
        except OSError:
            seen = False
        if not seen:
            return f"does not see {self.folder} as this machine does; put it on a file system that all machines share"
        if self.write and not os.access(self.file.parent, os.W_OK | os.X_OK):
            return f"may not write to {self.file.parent}; give it the right to"
        return None


@cache
def identity() -> dict[str, str]:
    """What decides the bytes that this process writes, by name: its code, as it was when first asked, and packages."""
    needed = [line for line in requires("hardloom") or [] if "extra ==" not in line]
    names = [match[0] for line in needed if (match := PACKAGE.match(line))]
    return {
        "hardloom": version("hardloom"),
        "code of hardloom": code_digest(*FLOORS)[:12],
        "Python": platform.python_version(),
        "OpenSTA": "installed" if shutil.which("sta") else "missing",
        **{name: installed(name) for name in names},
    }


def installed(name: str) -> str:
    """Version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def other_identity(wanted: dict[str, str]) -> str | None:
    """What of this process is not as `wanted`, the identity of the one that asks, in words."""
    for name, own in identity().items():
        if own != wanted.get(name):
            return (
                f"has {name} {own}, and this machine has {wanted.get(name)}; install the same there, and start it again"
            )
    return None


def problem(wanted: dict[str, str], sights: Sequence[Sight]) -> str | None:
    """Why this process does not do for one of identity `wanted`, in words; None: it does."""
    return other_identity(wanted) or next(filter(None, (sight.problem() for sight in sights)), None)
