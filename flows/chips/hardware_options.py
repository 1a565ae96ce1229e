"""Hardware options of `hardloom generate`: from words and files to a hardware configuration."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["HardwareOptions", "hardware_config", "parse_numbers", "parse_slices", "parse_style"]

RANGE = re.compile(r"\d{1,18}(-\d{1,18})?", re.ASCII)
MOST_NAMED = 1 << 17
"""Of a range: more than a model has, so that the first one too many is among them."""


def parse_kinds(option: str, text: str) -> dict[str, str]:
    """`gate_up=8,down=4` to a dictionary; `UserError` for anything else."""
    values = {}
    for part in text.split(","):
        kind, _, value = part.partition("=")
        if kind not in ARRAY_KINDS or not value:
            raise UserError(f"--{option}: {part!r} is not KIND=VALUE with KIND one of {', '.join(ARRAY_KINDS)}")
        values[kind] = value
    return values


def parse_style(text: str) -> str | dict[str, str]:
    """A style for all kinds, as it is, or `down=rom,o=metal` to a dictionary."""
    return parse_kinds("style", text) if "=" in text else text


def parse_slices(text: str) -> dict[str, int]:
    """`gate_up=8,down=4` to numbers; `UserError` for anything else."""
    slices = parse_kinds("slices", text)
    if strange := [count for count in slices.values() if not count.isdecimal()]:
        raise UserError(f"--slices: {strange[0]!r} is no number; write it like gate_up=8,down=4")
    return {kind: int(count) for kind, count in slices.items()}


def parse_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """`0-3,7` to numbers in order; `UserError` for anything else. None stays None."""
    if text is None:
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not RANGE.fullmatch(part) or int(first) > int(last or first):
            raise UserError(f"--{option}: {part!r} is neither a number nor a range; write it like 0-3,7")
        numbers.update(range(int(first), min(int(last or first), int(first) + MOST_NAMED) + 1))
    return tuple(sorted(numbers))


@dataclass(frozen=True)
class HardwareOptions:
    """What is given of the hardware: a JSON `file` of fields, and fields by themselves, None where they are not given.

    `slices` and `style` may name some kinds of array only, and `style` be a word for all of them.
    """

    file: Path | None = None
    lanes: int | None = None
    max_positions: int | None = None
    style: str | dict[str, str] | None = None
    slices: dict[str, int] | None = None


def hardware_config(model: ModelShape, options: HardwareOptions) -> HardwareConfig:
    """The default hardware for a model, changed by the fields of the options' file, then by those given by themselves.

    Raises `UserError` for unknown fields and values that make no sense.
    """
    file = options.file
    if file is not None and not file.is_file():
        raise UserError(f"--hardware: {file} is no file; see docs/chip.md for what it holds")
    fields = HardwareConfig.default(model).to_json_dict()
    alone = {name: value for name, value in vars(options).items() if name != "file" and value is not None}
    for values in ({} if file is None else read_json_object(file), alone):
        kinds = {name: by_kind(fields[name], values.get(name, {}), name, file) for name in ("style", "slices")}
        fields |= values | kinds
    return HardwareConfig.from_json_dict(fields)


def by_kind(held: dict[str, Any], given: Any, name: str, file: Path | None) -> dict[str, Any]:
    """What kinds of array `held`, changed by what is `given` for some of them, or as a style for all."""
    if name == "style" and isinstance(given, str):
        return dict.fromkeys(held, given)
    if not isinstance(given, dict):
        example = {"style": '"rom"', "slices": "8"}[name]
        raise UserError(f'{file}: {name} is no object; write it like {{"gate_up": {example}}}')
    return held | given
