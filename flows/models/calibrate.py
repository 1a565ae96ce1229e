"""`hardloom calibrate`: the ranges of a model's activations on text, and the numeric contract that holds them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.pictures.outliers import plot_outliers
from hardloom.golden.calibration.contract import contract_for, limit_of
from hardloom.golden.calibration.measured import Calibration, Source
from hardloom.golden.calibration.ranges import observe
from hardloom.golden.calibration.sequences import masked, sequences_of, text_tokens, token_file
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256, write_json
from hardloom.golden.units.numerics import Numerics

__all__ = ["CalibrationText", "calibrate", "calibrate_parts"]


@dataclass(frozen=True)
class CalibrationText:
    """What a model is calibrated on: one of two files, a text or token ids.

    most: tokens that are taken of it; seed: of the masks of a model that denoises. options: what names the files on the
    command line.
    """

    text: Path | None
    tokens: Path | None
    most: int
    seed: int
    options: tuple[str, str] = ("--text", "--tokens")

    def sequences(self, checkpoint: Checkpoint) -> Tensor:
        """Int64 [sequences, positions]. Raises `UserError` for anything that is not of the checkpoint's vocabulary."""
        if (self.text is None) == (self.tokens is None):
            text, tokens = self.options
            raise UserError(f"give a text with {text} or token ids with {tokens}, one of the two")
        model = checkpoint.model
        if self.text is not None:
            file, ids = self.text, text_tokens(self.text, checkpoint.path, model)
        else:
            assert self.tokens is not None
            file, ids = self.tokens, token_file(self.tokens, model)
        return masked(sequences_of(ids, model, file, self.most), model, self.seed)

    def source(self, sequences: Tensor) -> Source:
        """What is recorded of the `sequences` that were taken."""
        file = self.text or self.tokens
        assert file is not None
        return Source(file.name, sha256(file), sequences.numel(), self.seed)


@dataclass(frozen=True)
class Contract:
    """The contract that was written, and what it was measured by."""

    numerics: Numerics
    calibration: Calibration

    def to_json_dict(self) -> dict[str, Any]:
        return {"numerics": self.numerics.to_json(), "calibration": self.calibration.to_json()}


@torch.inference_mode()
def calibrate(
    path: Path, given: CalibrationText, base: Numerics, margin: float, out: Path, plot: Path | None
) -> Contract:
    """Run the float model of the checkpoint `path`, write its contract to `out` and the picture to `plot`.

    base: the contract but for its words.
    """
    checkpoint = Checkpoint(path)
    sequences = given.sequences(checkpoint)
    with progress_bar(f"running {sequences.numel():,} tokens", "layers") as progress:
        ranges = observe(checkpoint, sequences, base.gains, progress)
    found = tuple(ranges.found())
    calibration = Calibration(fingerprint(checkpoint), given.source(sequences), margin, found)
    contract = Contract(contract_for(found, base, margin), calibration)
    write_json(out, contract.to_json_dict())
    if plot is not None:
        plot_outliers(ranges.channels, plot)
    return contract


def calibrate_parts(found: Contract, out: Path) -> Iterator[Part]:
    """A row a site, and the words in a sentence."""
    numerics, calibration = found.numerics, found.calibration
    rows = [
        (
            one.site,
            f"{one.largest:,.4g}",
            "" if one.layer is None else f"{one.layer}",
            f"{one.channel}",
            f"{one.largest / one.typical:,.0f}" if one.typical else "",
            f"{limit_of(numerics, one.site):,g}",
        )
        for one in calibration.ranges
    ]
    columns = ("site", "largest", "layer", "channel", "times its rms", "word ends at")
    yield table(columns, rows, f"{calibration.text.tokens:,} tokens", no_wrap=True)
    word, score = numerics.word, numerics.score
    yield (
        f"{out}: a word of {word.width} bits, {word.frac} of them fraction, and scores of {score.width} bits, "
        f"{score.frac} of them fraction, hold at least {calibration.margin:g} times what was seen"
    )
