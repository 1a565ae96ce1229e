"""JSON objects that carry their own hash, so that damage is seen; nothing here stops who wants to forge one."""

import hashlib
import json
from typing import Any

__all__ = ["SEAL", "is_sealed", "sealed"]

SEAL = "sha256"


def digest(values: dict[str, Any]) -> str:
    """Of all fields but the hash itself, in whatever order they stand."""
    rest = {name: value for name, value in values.items() if name != SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """`values`, which JSON holds, and their hash behind them."""
    return values | {SEAL: digest(values)}


def is_sealed(values: dict[str, Any]) -> bool:
    """Whether an object that was read is, field by field, what was written."""
    try:
        return values.get(SEAL) == digest(values)
    except RecursionError:  # read just so, and too deep to be written
        return False
