"""JSON files that somebody else wrote: read whole, within limits, without a second meaning."""

import json
import re
import stat
from pathlib import Path
from typing import Any

from hardloom.golden.errors import UserError

__all__ = ["parse_json_object", "read_json_object", "read_regular_file"]

LONGEST_NUMBER = 1000
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")

LARGEST = 256 << 20
"""Bytes of a JSON file: a tokenizer of 150,000 tokens has 12 MiB, the index of a 100 B model 3 MiB."""


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Raises `UserError` where it is missing, unreadable, no regular file, too large, not UTF-8, not JSON, not an object,
    or names one field twice.
    """
    try:
        return parse_json_object(read_regular_file(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}; download or write the file again") from None


def read_regular_file(path: Path) -> bytes:
    """The contents of `path`; `UserError` where it is missing, unreadable, no regular file, or over `LARGEST` bytes."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: is no regular file; give the folder of a checkpoint")
        if status.st_size > LARGEST:
            raise UserError(f"{path}: has {status.st_size:,} bytes, more than the {LARGEST:,} of any such file")
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: the file does not exist; {how_to_get(path.parent)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None


def how_to_get(folder: Path) -> str:
    """What to do where the file of a checkpoint `folder` is missing: a name like those of the hub is no folder yet."""
    if HUB_NAME.fullmatch(str(folder)) and not folder.exists():
        return f"to get it from the hub run: hf download {folder} --local-dir FOLDER, and give FOLDER"
    return "give the folder of a checkpoint"


def parse_json_object(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`, UTF-8. Raises `ValueError` with what is wrong, in a few words."""
    try:
        hooks: dict[str, Any] = {"object_pairs_hook": unique_fields, "parse_constant": refuse_constant}
        raw = json.loads(text.decode("utf-8"), parse_int=whole_number, **hooks)
    except UnicodeDecodeError as error:
        raise ValueError(f"not valid JSON (byte {error.start} is not UTF-8)") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    except RecursionError:
        raise ValueError("not valid JSON (nested too deep)") from None
    if not isinstance(raw, dict):
        raise ValueError(f"holds a JSON {type(raw).__name__} where an object is needed")
    return raw


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields. Raises `ValueError` for a name that occurs twice: readers differ in which one wins."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"names {name!r} twice")
        fields[name] = value
    return fields


def whole_number(digits: str) -> int:
    """Raises `ValueError` for more digits than any count, size or offset has."""
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"holds a number of {len(digits):,} digits")
    return int(digits)


def refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no JSON number")
