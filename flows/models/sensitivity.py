"""`hardloom sensitivity`: what each kind of matrix and each activation costs when it alone is rounded."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.models.calibrate import CalibrationText
from hardloom.flows.pictures.sensitivity import plot_sensitivity
from hardloom.golden.calibration.contract import read_contract
from hardloom.golden.calibration.measured import Source, is_number
from hardloom.golden.calibration.sensitivity import Cost, costs
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_json
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.units.numerics import GENERAL

__all__ = ["Sensitivity", "read_sensitivity", "sensitivity", "sensitivity_parts"]


@dataclass(frozen=True)
class Sensitivity:
    """tokens: that the model was run on; weights: by kind of matrix, activations: by site.

    checkpoint: `golden.checkpoints.fingerprint` of the model; text: that it was run on.
    """

    checkpoint: str
    text: Source
    tokens: int
    weights: list[Cost]
    activations: list[Cost]


def sensitivity(
    path: Path,
    given: CalibrationText,
    format: str,
    contract: Path | None = None,
    plot: Path | None = None,
    out: Path | None = None,
) -> Sensitivity:
    """Costs for the checkpoint `path` on a text.

    contract: a file of `hardloom calibrate`, for bits of activations. plot, out: files to write, a picture and a record
    that `read_sensitivity` reads.
    """
    checkpoint = Checkpoint(path)
    sequences = given.sequences(checkpoint)
    numerics = GENERAL if contract is None else read_contract(contract, checkpoint)[0]
    with progress_bar(f"running {sequences.numel():,} tokens", "runs") as progress:
        found = costs(FloatModel.from_checkpoint(path), sequences, format, numerics, progress)
    weights = [cost for cost in found if cost.rounding == format]
    activations = [cost for cost in found if cost.rounding != format]
    measured = Sensitivity(fingerprint(checkpoint), given.source(sequences), sequences.numel(), weights, activations)
    if plot is not None:
        plot_sensitivity(weights, activations, plot)
    if out is not None:
        write_json(out, asdict(measured))
    return measured


def read_sensitivity(file: Path) -> Sensitivity:
    """What `sensitivity` wrote. Raises `UserError` for any other file."""
    raw = read_json_object(file)
    try:
        weights, activations = ([Cost(**cost) for cost in raw.pop(name)] for name in ("weights", "activations"))
        found = Sensitivity(**raw | {"text": Source(**raw["text"])}, weights=weights, activations=activations)
        good = found.weights and found.activations and isinstance(found.tokens, int)
        costs = [*found.weights, *found.activations]
        words = [found.checkpoint, found.text.file, *(word for cost in costs for word in (cost.kind, cost.rounding))]
        if good and all(isinstance(word, str) for word in words) and all(is_number(cost.divergence) for cost in costs):
            return found
    except (KeyError, TypeError, AttributeError):
        pass
    raise UserError(f"{file}: is no record of `hardloom sensitivity`; its option -o writes one")


def sensitivity_parts(found: Sensitivity) -> Iterator[Part]:
    """A row a kind of matrix and a row a site, the most expensive first."""
    for title, group in (("matrices", found.weights), ("activations", found.activations)):
        ordered = sorted(group, key=lambda cost: -cost.divergence)
        rows = [(cost.kind, cost.rounding, f"{cost.divergence:.4f}") for cost in ordered]
        yield table(("kind", "rounded to", "KL, nats a token"), rows, f"{title}, {found.tokens:,} tokens", no_wrap=True)
