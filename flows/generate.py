"""`hardloom generate`: a quantized checkpoint to the Verilog of a chip."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.progress import progress_bar
from gen.build import Build
from gen.build import generate as generate_build
from gen.hardware import ARRAY_KINDS, HardwareConfig
from golden.config import ModelConfig, read_json_object
from golden.errors import UserError
from golden.quantized import QuantizedCheckpoint

__all__ = ["build_figures", "generate", "hardware_config", "parse_slices", "print_figures"]


def parse_slices(text: str) -> dict[str, int]:
    """`gate_up=8,down=4` to a dictionary; `UserError` for anything else."""
    slices = {}
    for part in text.split(","):
        kind, _, count = part.partition("=")
        if kind not in ARRAY_KINDS or not count.isdecimal():
            raise UserError(f"--slices: {part!r} is not KIND=NUMBER with KIND one of {', '.join(ARRAY_KINDS)}")
        slices[kind] = int(count)
    return slices


def hardware_config(config: ModelConfig, file: Path | None, **options: Any) -> HardwareConfig:
    """The default hardware for a model, changed by the fields of a JSON `file`, then by `options` that are not None.

    `slices` may name some kinds of array only. Raises `UserError` for unknown fields and values that make no sense.
    """
    if file is not None and not file.is_file():
        raise UserError(f"--hardware: {file} is no file; see docs/chip.md for what it holds")
    fields = HardwareConfig.default(config).to_json_dict()
    given = [{} if file is None else read_json_object(file), {k: v for k, v in options.items() if v is not None}]
    for values in given:
        slices = values.get("slices", {})
        if not isinstance(slices, dict):
            raise UserError(f'{file}: slices is no object; write it like {{"gate_up": 8}}')
        fields |= values | {"slices": fields["slices"] | slices}
    return HardwareConfig.from_json_dict(fields)


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
    for header in ("arrays of kind", "arrays", "weights", "slices", "cycles a packet"):
        table.add_column(header, justify="left" if header == "arrays of kind" else "right", no_wrap=True)
    for kind, row in figures["arrays"].items():
        slices = str(figures["hardware"]["slices"][kind])
        table.add_row(kind, f"{row['arrays']:,}", f"{row['weights']:,}", slices, f"{row['cycles_per_packet']:,}")
    embedding = figures["weights_hardwired"] - sum(row["weights"] for row in figures["arrays"].values())
    table.add_row("embedding (ROM)", "1", f"{embedding:,}", "", "")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{figures['weights_hardwired']:,} weights hardwired; {figures['files']:,} files, {figures['bytes']:,} bytes; "
        f"top module {figures['top']}"
    )


def generate(path: Path, out: Path, hardware_file: Path | None, options: dict[str, Any], as_json: bool) -> None:
    """Write the build folder `out` of the quantized checkpoint `path` and print what it holds."""
    if not QuantizedCheckpoint.is_quantized(path) and (path / "config.json").is_file():
        raise UserError(f"{path}: is not quantized; run `hardloom quantize {path} -o FOLDER` and give FOLDER")
    checkpoint = QuantizedCheckpoint(path)
    hardware = hardware_config(checkpoint.config, hardware_file, **options)
    with progress_bar(f"generating {out}", "weights") as progress:
        build = generate_build(checkpoint, out, hardware, progress)
    figures = build_figures(build)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        print_figures(figures, str(out))
