"""What a command reads and what it writes are different files, whichever command it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import typer

__all__ = ["kept_apart", "plain", "read", "written"]


@dataclass
class Paths:
    """The paths among a command's options that were met so far, those that are read and those that are written."""

    read: list[Path] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


MET: ContextVar[Paths] = ContextVar("MET")


@contextmanager
def kept_apart() -> Iterator[None]:
    """Options that are read within are those of one command."""
    token = MET.set(Paths())
    try:
        yield
    finally:
        MET.reset(token)


def plain(text: object) -> Path:
    """A path that can be named in a message and in a command line of a tool."""
    if not str(text):
        raise typer.BadParameter("the path is empty; name a file or folder")
    if any(ord(character) < 32 for character in f"{text}{os.path.realpath(str(text))}"):
        raise typer.BadParameter(f"{str(text)!r} holds a control character, or leads to a path that does; rename it")
    return Path(str(text))


def read(path: Path) -> Path:
    """`path`, a file or folder that is read. `typer.BadParameter` where another option writes it."""
    paths = MET.get(Paths())
    for other in paths.written:
        check(path, other)
    paths.read.append(path)
    return path


def written(path: Path, *files: Path) -> Path:
    """`path`, which stands for files, or a folder, that are written. `typer.BadParameter` where one of them is read by
    another option, or written."""
    paths = MET.get(Paths())
    for file in files:
        for other in paths.read:
            check(other, file)
        if any(same(file, other) for other in paths.written):
            raise typer.BadParameter(f"{file} is written twice; name two files")
        paths.written.append(file)
    return path


def check(given: Path, file: Path) -> None:
    """Raise `typer.BadParameter` where writing `file` would overwrite `given`, or a file in the folder `given`."""
    if same(given, file) or (file.is_file() and given.is_dir() and inside(file, given)):
        raise typer.BadParameter(f"{file} would be written over what is read from {given}; name another")


def same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other) or (one.exists() and other.exists() and one.samefile(other))


def inside(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
