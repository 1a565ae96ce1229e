"""Sensitivity: what rounding each kind of matrix, and each activation, costs by itself, as it was recorded."""

import dataclasses
import shlex
from pathlib import Path

from hardloom.flows.models.sensitivity import Sensitivity, read_sensitivity
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.calibration.sensitivity import Cost
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.activations import ActivationBits

__all__ = ["check_costs", "costs"]

TITLE = "Sensitivity: what rounding costs"
WIDTH = 620


def check_costs(subject: Subject, file: Path | None) -> None:
    """Raise `UserError` for a file that is no record, or one of another model.

    A quantized checkpoint does not know the one that it was made from, unless it was calibrated: of others the kinds of
    matrix are compared.
    """
    if file is None:
        return
    found, own = read_sensitivity(file), own_fingerprint(subject)
    kinds = {matrix.short_kind for matrix in subject.model.matrices()}
    sites = {field.name for field in dataclasses.fields(ActivationBits)}
    if own is not None and own != found.checkpoint:
        raise UserError(f"{file}: is of a checkpoint with the fingerprint {found.checkpoint}, and this one's is {own}; "
                        "run `hardloom sensitivity` on this one")  # fmt: skip
    if {cost.kind for cost in found.weights} != kinds or {cost.kind for cost in found.activations} != sites:
        raise UserError(f"{file}: names other kinds of matrix than this model has; run `hardloom sensitivity` on it")


def own_fingerprint(subject: Subject) -> str | None:
    """Of the checkpoint that the subject is, or that it was calibrated as; None where it says neither."""
    if not subject.is_quantized:
        return fingerprint(Checkpoint(subject.folder))
    calibration = QuantizedCheckpoint(subject.folder).quantization.get("calibration")
    return str(calibration["checkpoint"]) if isinstance(calibration, dict) and "checkpoint" in calibration else None


def costs(subject: Subject, file: Path | None) -> Section:
    """The section. file: a record that `check_costs` has let pass."""
    path = "CKPT" if subject.is_quantized else shlex.quote(str(subject.path))
    command = f"hardloom sensitivity {path} --text FILE -o sensitivity.json"
    if file is None:
        show = subject.command("report", "--sensitivity", "sensitivity.json", "-o", "report.html")
        return Section("costs", TITLE, missing=f"no record was given; `{command}` writes one, and `{show}` shows it")
    found = read_sensitivity(file)
    held = {"found": found, "groups": groups(found), "width": WIDTH, "worst": worst(found.weights)}
    return Section("costs", TITLE, (command,), held)


def worst(found: list[Cost]) -> Cost:
    return max(found, key=lambda cost: cost.divergence)


def groups(found: Sensitivity) -> list[tuple[str, list[tuple[Cost, float]]]]:
    """Matrices and activations, the most expensive above, with lengths of bars on one scale."""
    most = worst([*found.weights, *found.activations]).divergence or 1.0

    def rows(costs: list[Cost]) -> list[tuple[Cost, float]]:
        ordered = sorted(costs, key=lambda cost: (-cost.divergence, cost.kind))
        return [(cost, round(cost.divergence / most * WIDTH, 1)) for cost in ordered]

    return [("matrices", rows(found.weights)), ("activations", rows(found.activations))]
