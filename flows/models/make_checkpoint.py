"""`hardloom make-checkpoint`: a checkpoint of published shape with random weights."""

from pathlib import Path

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.models.info import billions
from hardloom.golden.checkpoints.synthetic import make_checkpoint as write_checkpoint

__all__ = ["make_checkpoint"]


def make_checkpoint(
    like: str, out: Path, layers: int | None, experts: int | None, vocabulary: int | None, seed: int, virtual: bool
) -> None:
    """Write the folder `out` and print what it holds."""
    with progress_bar(f"writing {out}", "parameters") as progress:
        model = write_checkpoint(like, out, layers, experts, vocabulary, seed, progress, virtual=virtual)
    where = ", made as they are read" if virtual else ""
    print(f"{out}: {billions(model.parameters)} random parameters in the shape of {like}, bfloat16{where}")
