"""`hardloom quantize`: a checkpoint to weights of few bits, with what that cost."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.console.progress import progress_bar
from flows.console.report import Part, table
from flows.models.info import kind_of
from golden.calibration.contract import read_contract
from golden.errors import UserError
from golden.quantization.quantize import Statistics, quantize_checkpoint
from golden.shape import TensorShape
from golden.units.numerics import Numerics

__all__ = ["parse_formats", "quantize", "quantize_parts"]


@dataclass(frozen=True)
class Losses:
    """All matrices of a kind together: see `Statistics.report`; lowest_snr_db: of the worst of them."""

    matrices: int
    weights: int
    snr_db: float | None
    saturated: float
    zero: float
    lowest_snr_db: float | None


@dataclass(frozen=True)
class Quantization:
    """report: contents of `quantization.json`; kinds: what was lost, by kind of matrix."""

    report: dict[str, Any]
    kinds: dict[str, Losses]

    def to_json_dict(self) -> dict[str, Any]:
        return {**self.report, "kinds": self.kinds}


def parse_formats(text: str | None) -> dict[str, str]:
    """`head=int8,down=mxfp6` to a dictionary; `UserError` for anything else. None: no kind by itself."""
    formats: dict[str, str] = {}
    for part in [] if text is None else text.split(","):
        kind, _, format = part.partition("=")
        if not kind or not format or kind in formats:
            raise UserError(
                f"--formats: {part!r} is not KIND=FORMAT, each kind once; write it like head=int8,down=mxfp6"
            )
        formats[kind] = format
    return formats


def quantize(path: Path, out: Path, format: str, formats: Mapping[str, str], contract: Path | None) -> Quantization:
    """Quantize the checkpoint `path` into the folder `out`.

    formats: of the kinds of matrix that have another than `format`; contract: a file that `hardloom calibrate` wrote.
    """
    statistics: dict[TensorShape, Statistics] = {}
    numerics, calibration = (Numerics(), None) if contract is None else read_contract(contract)
    measured = None if calibration is None else calibration.to_json()
    with progress_bar(f"quantizing {path}", "weights") as progress:
        report = quantize_checkpoint(path, out, format, numerics, formats, progress, statistics, measured)
    return Quantization(report, by_kind(statistics))


def by_kind(statistics: dict[TensorShape, Statistics]) -> dict[str, Losses]:
    """From the statistics of every matrix."""
    members: dict[str, list[Statistics]] = {}
    for matrix, one in statistics.items():
        members.setdefault(kind_of(matrix), []).append(one)
    kinds = {}
    for name, group in members.items():
        together = Statistics()
        for one in group:
            together.merge(one)
        ratios = [ratio for one in group if (ratio := one.report()["snr_db"]) is not None]
        lowest = min(ratios, default=None)
        kinds[name] = Losses(len(group), together.elements, **together.report(), lowest_snr_db=lowest)
    return kinds


def quantize_parts(found: Quantization, title: str) -> Iterator[Part]:
    """A row a kind of matrix."""
    columns = ("kind", "matrices", "weights", "SNR dB", "worst", "saturated", "zero")
    rows = [
        (
            name,
            f"{losses.matrices:,}",
            f"{losses.weights:,}",
            decibels(losses.snr_db),
            decibels(losses.lowest_snr_db),
            f"{losses.saturated:.2%}",
            f"{losses.zero:.2%}",
        )
        for name, losses in found.kinds.items()
    ]
    yield table(columns, rows, title, no_wrap=True)


def decibels(ratio: float | None) -> str:
    return "exact" if ratio is None else f"{ratio:.2f}"
