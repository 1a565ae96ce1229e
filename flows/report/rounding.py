"""Accuracy: what rounding has done to the weights, as the quantized checkpoint recorded it by matrix."""

from collections import defaultdict
from dataclasses import dataclass

from flows.report.section import Section
from flows.report.subject import Subject
from golden.quantization.quantized import QuantizedCheckpoint

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
    held = {"rows": by_kind(checkpoint), "method": checkpoint.quantization.get("rounding", {}).get("method", "nearest")}
    return Section("rounding", title, (subject.command("info"),) if subject.build is None else (), held)


def by_kind(checkpoint: QuantizedCheckpoint) -> list[KindRounding]:
    """Of every kind of matrix, in the order of the model."""
    kinds = defaultdict(list)
    for matrix in checkpoint.model.matrices():
        if (found := checkpoint.quantization.get("matrices", {}).get(matrix.name)) is not None:
            kinds[matrix.short_kind].append(found)
    rows = []
    for kind, found in kinds.items():
        ratios = [one["snr_db"] for one in found if one["snr_db"] is not None]
        lowest, mean = (min(ratios), sum(ratios) / len(ratios)) if ratios else (None, None)
        saturated = sum(one["saturated"] for one in found) / len(found)
        rows.append(KindRounding(kind, checkpoint.formats[kind], len(found), lowest, mean, saturated))
    return rows
