"""`hardloom sensitivity`: what each kind of matrix and each activation costs when it alone is rounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.models.calibrate import CalibrationText
from hardloom.flows.pictures.sensitivity import plot_sensitivity
from hardloom.golden.calibration.contract import read_contract
from hardloom.golden.calibration.sensitivity import Cost, costs
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.units.numerics import GENERAL

__all__ = ["sensitivity", "sensitivity_parts"]


@dataclass(frozen=True)
class Sensitivity:
    """tokens: that the model was run on; weights: by kind of matrix, activations: by site."""

    tokens: int
    weights: list[Cost]
    activations: list[Cost]


def sensitivity(
    path: Path, given: CalibrationText, format: str, contract: Path | None, plot: Path | None
) -> Sensitivity:
    """Costs for the checkpoint `path` on a text; contract: a file of `hardloom calibrate`, for bits of activations."""
    checkpoint = Checkpoint(path)
    sequences = given.sequences(checkpoint)
    numerics = GENERAL if contract is None else read_contract(contract, checkpoint)[0]
    with progress_bar(f"running {sequences.numel():,} tokens", "runs") as progress:
        found = costs(FloatModel.from_checkpoint(path), sequences, format, numerics, progress)
    weights = [cost for cost in found if cost.rounding == format]
    activations = [cost for cost in found if cost.rounding != format]
    if plot is not None:
        plot_sensitivity(weights, activations, plot)
    return Sensitivity(sequences.numel(), weights, activations)


def sensitivity_parts(found: Sensitivity) -> Iterator[Part]:
    """A row a kind of matrix and a row a site, the most expensive first."""
    for title, group in (("matrices", found.weights), ("activations", found.activations)):
        ordered = sorted(group, key=lambda cost: -cost.divergence)
        rows = [(cost.kind, cost.rounding, f"{cost.divergence:.4f}") for cost in ordered]
        yield table(("kind", "rounded to", "KL, nats a token"), rows, f"{title}, {found.tokens:,} tokens", no_wrap=True)
