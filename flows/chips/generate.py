"""`hardloom generate`: a quantized checkpoint to the Verilog of a chip."""

import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from gen.build.folder import Build
from gen.build.generate import build_arrays, build_chip
from gen.design.hardware import ARRAY_KINDS, HardwareConfig
from gen.design.matrices import Selection
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.json_files import read_json_object
from golden.errors import UserError
from golden.quantization.quantized import QuantizedCheckpoint

__all__ = [
    "build_figures",
    "generate",
    "hardware_config",
    "parse_numbers",
    "parse_slices",
    "parse_style",
    "print_figures",
]


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


def hardware_config(config: ModelConfig, file: Path | None, **options: Any) -> HardwareConfig:
    """The default hardware for a model, changed by the fields of a JSON `file`, then by `options` that are not None.

    `slices` and `style` may name some kinds of array only, and `style` be a word for all of them. Raises `UserError`
    for unknown fields and values that make no sense.
    """
    if file is not None and not file.is_file():
        raise UserError(f"--hardware: {file} is no file; see docs/chip.md for what it holds")
    fields = HardwareConfig.default(config).to_json_dict()
    given = [{} if file is None else read_json_object(file), {k: v for k, v in options.items() if v is not None}]
    for values in given:
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


def build_figures(build: Build) -> dict[str, Any]:
    """What a build holds: totals, and by kind of array its arrays, weights and cycles a packet."""
    kinds: dict[str, dict[str, int]] = {}
    for array in build.arrays:
        kind = kinds.setdefault(array["kind"], {"arrays": 0, "weights": 0, "cycles_per_packet": 0})
        kind["arrays"] += 1
        kind["weights"] += array["weights"]
        kind["cycles_per_packet"] = max(kind["cycles_per_packet"], array["cycles_per_packet"])
    files = [build.path / name for name in build.files]
    return {
        "top": build.manifest["top"],
        "quantization": build.manifest["quantization"],
        "hardware": build.manifest["hardware"],
        "weights_hardwired": build.manifest["weights_hardwired"],
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "arrays": kinds,
    }


def print_figures(figures: dict[str, Any], title: str) -> None:
    """Arrays by kind as a table, totals below."""
    table = Table(title=title)
    for header in ("arrays of kind", "arrays", "weights", "style", "slices", "cycles a packet"):
        table.add_column(header, justify="left" if header in ("arrays of kind", "style") else "right", no_wrap=True)
    for kind, row in figures["arrays"].items():
        how = (figures["hardware"]["style"][kind], str(figures["hardware"]["slices"][kind]))
        table.add_row(kind, f"{row['arrays']:,}", f"{row['weights']:,}", *how, f"{row['cycles_per_packet']:,}")
    embedding = figures["weights_hardwired"] - sum(row["weights"] for row in figures["arrays"].values())
    if figures["top"]:
        table.add_row("embedding (ROM)", "1", f"{embedding:,}", "", "", "")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{figures['weights_hardwired']:,} weights hardwired; {figures['files']:,} files, {figures['bytes']:,} bytes; "
        + (f"top module {figures['top']}" if figures["top"] else "chosen arrays, no chip around them")
    )


def generate(
    path: Path,
    out: Path,
    hardware_file: Path | None,
    options: dict[str, Any],
    selection: Selection,
    compress: bool,
    as_json: bool,
) -> None:
    """Write the build folder `out` of the quantized checkpoint `path`, or of parts of it; print what it holds."""
    if not QuantizedCheckpoint.is_quantized(path) and (path / "config.json").is_file():
        raise UserError(f"{path}: is not quantized; run `hardloom quantize {path} -o FOLDER` and give FOLDER")
    checkpoint = QuantizedCheckpoint(path)
    hardware = hardware_config(checkpoint.config, hardware_file, **options)
    if compress and selection == Selection():
        raise UserError("--compress: simulators read plain text; choose parts with --layers, --experts or --matrices")
    with progress_bar(f"generating {out}", "weights") as progress:
        if selection == Selection():
            build = build_chip(checkpoint, out, hardware, progress)
        else:
            build = build_arrays(checkpoint, out, hardware, selection, compress, progress)
    figures = build_figures(build)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        print_figures(figures, str(out))
