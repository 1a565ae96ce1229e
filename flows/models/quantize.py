"""`hardloom quantize`: a checkpoint to weights of few bits, with what that cost."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.models.calibrate import CalibrationText
from hardloom.flows.models.choices import Choices
from hardloom.flows.models.info import kind_of
from hardloom.golden.calibration.careful import Careful
from hardloom.golden.calibration.contract import read_contract
from hardloom.golden.calibration.measured import Calibration
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.errors import UserError
from hardloom.golden.folders import claimed
from hardloom.golden.quantization.pieces import NEAREST, Statistics
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.numerics import GENERAL, Numerics

__all__ = ["METHODS", "careful_text", "quantize", "quantize_parts"]

METHODS = ("nearest", "gptq")
JOURNAL = "rounded"
"""Folder of finished layers in one that is not finished."""
CALIBRATED = 16384
"""Tokens that GPTQ is calibrated on, at most."""


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


def careful_text(method: str, text: Path | None, tokens: Path | None) -> CalibrationText | None:
    """What GPTQ is calibrated on; None for the method `nearest`. `UserError` where method and files do not fit."""
    if method not in METHODS:
        raise UserError(f"--method {method!r:.40} is not known; choose one of {', '.join(METHODS)}")
    if (given := text is not None or tokens is not None) != (method == "gptq"):
        how = (
            "calibrates on nothing; leave it out"
            if given
            else "is calibrated; give a text with --calibration, or token ids with --calibration-tokens"
        )
        raise UserError(f"--method {method} {how}")
    return CalibrationText(text, tokens, CALIBRATED, 0, ("--calibration", "--calibration-tokens")) if given else None


def contract_of(source: Checkpoint, file: Path | None, choices: Choices) -> tuple[Numerics, Calibration | None]:
    """The contract in `file`, or the one for any model, with the choices made, and what it was calibrated on."""
    numerics, calibration = (GENERAL, None) if file is None else read_contract(file, source)
    chosen = choices.applied(numerics)
    if calibration is not None and chosen.gains != numerics.gains:
        raise UserError(
            f"--gains {chosen.gains}: {file} was calibrated with gains {numerics.gains}, and norms have other ranges "
            f"then; run `hardloom calibrate {source.path} --gains {chosen.gains}`, and give what it writes"
        )
    return chosen, calibration


def quantize(
    path: Path,
    out: Path,
    format: str | None,
    formats: Mapping[str, str],
    contract: Path | None,
    choices: Choices,
    careful: CalibrationText | None,
) -> Quantization:
    """Quantize the checkpoint `path` into the folder `out`.

    format: of all matrices; None: what costs a model least for its bits. formats: of the kinds of matrix that have
    another. contract: a file that `hardloom calibrate` wrote; None: the one for any model. choices: of that contract.
    careful: what GPTQ is calibrated on; None: weights are rounded to nearest.
    """
    statistics: dict[TensorShape, Statistics] = {}
    source = Checkpoint(path)
    numerics, calibration = contract_of(source, contract, choices)
    measured = None if calibration is None else calibration.to_json()
    method = NEAREST
    if careful is not None:
        sequences = careful.sequences(source)
        method = Careful(sequences, careful.source(sequences), out / JOURNAL).method
    with progress_bar(f"quantizing {path}", "weights") as progress:
        report = quantize_checkpoint(path, out, format, numerics, formats, progress, statistics, measured, method)
    with suppress(UserError), claimed(out, "quantized checkpoint"):  # of another run that has begun meanwhile it stays
        shutil.rmtree(out / JOURNAL, ignore_errors=True)
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
