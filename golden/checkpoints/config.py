"""The file `config.json` of a checkpoint and the model that it describes."""

from pathlib import Path
from typing import Any

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["CONFIG", "read_config"]

CONFIG = "config.json"


def read_config(path: Path) -> tuple[dict[str, Any], ModelShape]:
    """Fields and model of the file `path`. Raises `UserError` naming the file, the field and the remedy."""
    raw = read_json_object(path)
    try:
        return raw, shape_of(raw)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
