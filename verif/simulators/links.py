"""Files under names that no tool reads as a command: make and shells split paths, and a user's may hold anything."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["is_plain", "linked"]

LINKS = "sources"
PARTS = 3
"""Of the end of a path, kept in the name of its link, so that messages can be read."""


def linked(paths: Iterable[Path], folder: Path) -> list[str]:
    """Names, relative to `folder`, of links to `paths` there; of letters, digits, `_`, `.`, `-` and `/` alone."""
    shutil.rmtree(folder / LINKS, ignore_errors=True)
    names: list[str] = []
    for number, path in enumerate(paths):
        end = [re.sub(r"[^\w.-]", "_", part, flags=re.ASCII) for part in path.resolve().parts[1:][-PARTS:]]
        name = "/".join([LINKS, *end])
        if name in names:
            name = "/".join([LINKS, str(number), *end])
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(path.resolve())
        names.append(name)
    return names


def is_plain(path: Path) -> bool:
    """Whether make and shells read `path`, where it truly is, as one word and nothing else."""
    return re.fullmatch(r"[\w./+-]+", str(path.resolve()), flags=re.ASCII) is not None
