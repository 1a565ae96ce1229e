"""Accuracy: what rounding has done to the weights, as the quantized checkpoint recorded it by matrix."""

from collections import defaultdict
from dataclasses import dataclass

from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QUANTIZATION, QuantizedCheckpoint

__all__ = ["KindRounding", "rounding"]


@dataclass(frozen=True)
class KindRounding:
    """Matrices of one kind.

    Attributes
    ----------
    kind, format: theirs; matrices: how many.
    lowest, mean: ratio of the weights to their errors in dB, the least of a matrix and the mean over matrices, those
        without an error left out; None where there is no other.
    saturated: share of the weights that the format's largest value stands for, the mean over matrices.
    """

    kind: str
    format: str
    matrices: int
    lowest: float | None
    mean: float | None
    saturated: float


def rounding(subject: Subject) -> Section:
    """The section."""
    title = "Accuracy: weights as rounded"
    if not subject.is_quantized:
        command = subject.command("quantize", "-o", "Q")
        return Section("rounding", title, missing=f"no record says how weights were rounded; `{command}` leaves one")
    checkpoint = QuantizedCheckpoint(subject.folder)
    method = checkpoint.quantization.get("rounding")
    method = method.get("method") if isinstance(method, dict) else None
    held = {"rows": by_kind(checkpoint), "method": method}
    return Section("rounding", title, (subject.command("info"),) if subject.build is None else (), held)


def by_kind(checkpoint: QuantizedCheckpoint) -> list[KindRounding]:
    """Of every kind of matrix, in the order of the model."""
    kinds = defaultdict(list)
    for matrix in checkpoint.model.matrices():
        kinds[matrix.short_kind].append(recorded(checkpoint, matrix.name))
    rows = []
    for kind, found in kinds.items():
        ratios = [ratio for ratio, _ in found if ratio is not None]
        lowest, mean = (min(ratios), sum(ratios) / len(ratios)) if ratios else (None, None)
        saturated = sum(share for _, share in found) / len(found)
        rows.append(KindRounding(kind, checkpoint.formats[kind], len(found), lowest, mean, saturated))
    return rows


def recorded(checkpoint: QuantizedCheckpoint, name: str) -> tuple[float | None, float]:
    """Ratio in dB and share at the largest value of a matrix. Raises `UserError` for a record that says neither."""
    try:
        found = checkpoint.quantization["matrices"][name]
        return None if found["snr_db"] is None else float(found["snr_db"]), float(found["saturated"])
    except (KeyError, TypeError, ValueError):
        path = checkpoint.path / QUANTIZATION
        raise UserError(f"{path}: says nothing of how {name} was rounded; quantize again") from None
