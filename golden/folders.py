"""Folders that we may write to: empty ones, and those that an earlier run of ours marked as its own."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256, write_file

__all__ = ["MARK", "check_ours", "claim", "claimed", "delete", "holds", "inside", "stored_bytes"]

MARK = ".hardloom"
"""File in every folder that a command makes; its text is what the folder is for."""


NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems say that lock no folders, as NFS."""


def claim(folder: Path, kind: str) -> None:
    """Make `folder`, or make sure that it is ours to write to, and mark it as a `kind` ("build", "checkpoint" ...).

    Raises `UserError` where it is no folder, or holds anything without our mark, or with the mark of another kind.
    """
    if "\n" in str(folder.absolute()):
        raise UserError(f"{str(folder)!r}: a path of several lines; name a folder without line breaks with -o")
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise UserError(f"{folder}: is a file; name a new folder with -o")
    if (marked := mark_of(folder)) is not None:
        if marked != kind:
            raise UserError(f"{folder}: holds a {marked}, and this makes a {kind}; name a new folder with -o")
        return
    if folder.is_dir() and any(not path.name.startswith(MARK) for path in folder.iterdir()):
        raise UserError(f"{folder}: is not empty and no {kind} of ours (it has no {MARK}); name a new folder with -o")
    write_file(folder / MARK, kind + "\n")


@contextmanager
def claimed(folder: Path, kind: str) -> Iterator[None]:
    """`claim`, and no other run writes to `folder` before the block ends.

    The folder itself is locked, by the system: nothing is left behind when a run is killed. Raises `UserError` as
    `claim` does, and where another run, or an outer block of this one, has the folder. Where the file system locks no
    folders, nothing is locked.
    """
    claim(folder, kind)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another run is writing there; wait until it has ended, or write to a new folder"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        claim(folder, kind)  # another run may have been first, with another kind
        yield
    finally:
        os.close(descriptor)


def mark_of(folder: Path) -> str | None:
    """What our mark says that `folder` is for; None where there is none: a link is not ours."""
    mark = folder / MARK
    if not mark.is_file() or mark.is_symlink():
        return None
    return mark.read_bytes()[:100].decode(errors="replace").strip()


def check_ours(folder: Path, kind: str) -> None:
    """Raise `UserError` where `folder` lacks our mark of a `kind`: nothing may be written beside what it holds."""
    if mark_of(folder) != kind:
        raise UserError(
            f"{folder}: is no {kind} of ours (its {MARK} does not say so), and nothing is written there; "
            "give a folder that `hardloom generate` wrote"
        )


def inside(folder: Path, name: str) -> Path:
    """Path of the file `name` ("rtl/units/x.v") of `folder`, to write or delete it.

    Raises `UserError` where a folder on the way is a link, which could lead out of `folder`.
    """
    for parent in PurePosixPath(name).parents[:-1]:
        if (folder / parent).is_symlink():
            raise UserError(f"{folder / parent}: is a link, and nothing is written behind one; remove it")
    return folder / name


def delete(folder: Path, name: str) -> None:
    """Delete the file or link `name` of `folder`, if it is there. Raises `UserError` where it is anything else."""
    path = inside(folder, name)
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: is no regular file; remove it")
    path.unlink(missing_ok=True)


def holds(folder: Path, name: str, digest: str) -> bool:
    """Whether `folder` has a regular file `name`, itself and not behind a link, whose SHA-256 is `digest`."""
    path, parents = folder / name, PurePosixPath(name).parents[:-1]
    if path.is_symlink() or any((folder / parent).is_symlink() for parent in parents):
        return False
    return path.is_file() and sha256(path) == digest


def stored_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`, those of several names once, links as such."""
    found = [path.lstat() for path in folder.rglob("*") if not path.is_dir()]
    return sum({status.st_ino: status.st_size for status in found}.values())
