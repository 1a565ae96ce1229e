"""`hardloom quantize`: a checkpoint to 4 bits, with what that cost."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from flows.models.info import kind
from golden.quantization.quantize import Statistics, quantize_checkpoint

__all__ = ["quantize"]


def quantize(path: Path, out: Path, format: str, as_json: bool) -> None:
    """Quantize the checkpoint `path` into the folder `out` and print the statistics by kind of matrix."""
    statistics: dict[str, Statistics] = {}
    with progress_bar(f"quantizing to {format}", "weights") as progress:
        report = quantize_checkpoint(path, out, format, progress, statistics)
    kinds = by_kind(statistics)
    if as_json:
        print(json.dumps({**report, "kinds": kinds}, indent=1))
        return
    table = Table(title=f"{out}: {format}")
    for header in ("kind", "matrices", "weights", "SNR dB", "worst", "saturated", "zero"):
        table.add_column(header, justify="left" if header == "kind" else "right", no_wrap=True)
    for name, row in kinds.items():
        table.add_row(
            name,
            f"{row['matrices']:,}",
            f"{row['weights']:,}",
            decibels(row["snr_db"]),
            decibels(row["lowest_snr_db"]),
            f"{row['saturated']:.2%}",
            f"{row['zero']:.2%}",
        )
    Console(highlight=False).print(table)


def by_kind(statistics: dict[str, Statistics]) -> dict[str, dict[str, Any]]:
    """Statistics of all matrices of a kind together, and the SNR of the worst of them."""
    members: dict[str, list[Statistics]] = {}
    for name, one in statistics.items():
        members.setdefault(kind(name), []).append(one)
    kinds = {}
    for name, group in members.items():
        together = Statistics()
        for one in group:
            together.merge(one)
        ratios = [ratio for one in group if (ratio := one.report()["snr_db"]) is not None]
        kinds[name] = {
            "matrices": len(group),
            "weights": together.elements,
            **together.report(),
            "lowest_snr_db": min(ratios, default=None),
        }
    return kinds


def decibels(ratio: float | None) -> str:
    return "exact" if ratio is None else f"{ratio:.2f}"
