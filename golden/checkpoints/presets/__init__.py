"""Published architectures by name, each as the `config.json` of its checkpoint: no weights.

Sources: the configurations that inclusionAI (LLaDA-MoE, LLaDA2.0) and OpenAI (gpt-oss) publish with their checkpoints.
"""

from pathlib import Path
from typing import Any

from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError

__all__ = ["PRESETS", "preset_path", "read_preset"]

PRESETS = ("llada-moe-7b", "llada2.0-mini", "llada2.0-flash", "gpt-oss-120b")
"""Names that `--like` takes."""


def preset_path(name: str) -> Path:
    """The file of architecture `name`; `UserError` where it is none of `PRESETS`."""
    if name not in PRESETS:
        raise UserError(f"--like {name}: no architecture of this name is known; choose one of {', '.join(PRESETS)}")
    return Path(__file__).parent / f"{name}.json"


def read_preset(name: str) -> dict[str, Any]:
    """Fields of the `config.json` of architecture `name`, as published."""
    return read_json_object(preset_path(name))
