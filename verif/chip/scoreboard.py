"""Scoreboard of the whole chip: every denoising step and every probe point against the integer model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hardloom.gen.design.axi_ports import commit_record
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import Prediction, Step
from hardloom.golden.samplers.kept import Kept
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.samplers.sampling import denoise
from hardloom.golden.samplers.spans import span
from hardloom.verif.chip.simulation import Run

__all__ = ["Divergence", "Reference", "Scoreboard", "reference_steps"]

SPREAD_TOP = (1 << commit_record()["spread"].width) - 1
"""Where the spread of a commit record saturates."""


@dataclass(frozen=True)
class Divergence:
    """One integer that differs. `probe` also names the expert; `position` and `index` count from 0."""

    run: int
    step: int
    probe: str
    position: int
    index: int
    expected: int
    got: int | None

    def __str__(self) -> str:
        got = "nothing" if self.got is None else self.got
        return (
            f"run {self.run}, step {self.step}: {self.probe}, position {self.position}, index {self.index}: "
            f"expected {self.expected}, got {got}"
        )


@dataclass
class Reference:
    """A golden step: `step`, and the probe points of its pass, int64 [positions, elements] by name."""

    step: Step
    values: dict[str, np.ndarray] = field(default_factory=dict)


class _ProbedModel:
    """An engine that keeps the integers at the probe points of its latest pass."""

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.values: dict[str, np.ndarray] = {}

    def predict(
        self,
        tokens: Tensor,
        wanted: Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
    ) -> Prediction:
        seen: dict[str, Tensor] = {}
        prediction = self.model.predict(tokens, wanted, manners, kept, seen.__setitem__)
        self.values = {name: value[0].numpy() for name, value in seen.items()}
        return prediction


def reference_steps(model: IntegerModel, run: Run, probed: bool = True, cache: bool = False) -> Iterator[Reference]:
    """Golden denoising of a run's prompt, with the probe points of every pass if `probed`.

    cache: of a chip that keeps keys and values, whose passes have the positions of `golden.samplers.spans` alone.
    """
    engine, shape = _ProbedModel(model) if probed else None, model.shape
    for step in denoise(engine or model, torch.tensor([run.prompt]), run.sampling, shape):
        values = engine.values if engine else {}
        if cache and values:
            block, one, count = shape.layers[0].attention.block_length, step.passes[0], step.tokens.shape[1]
            assert one is not None  # it has not ended
            values = of_span(values, span(block, one, count, shape.shift), count)
        yield Reference(step, values)


def of_span(values: dict[str, np.ndarray], positions: range, count: int) -> dict[str, np.ndarray]:
    """Probe points of a pass of these positions of `count`, and which they are: those of the head are all among them;
    with a vicinity the integer model has computed no others."""
    part = {n: v[positions.start : positions.stop] if len(v) == count else v for n, v in values.items()}
    return {"span": np.array([[positions.start, positions.stop]]), **part}


class Scoreboard:
    """Counts and compares; keeps the first divergence.

    Attributes
    ----------
    compared: integers compared; mismatches: of them, those that differ; first: the first one, in the order in
        which a position passes the probe points.
    by_probe: integers compared at each probe point, by name.
    """

    def __init__(self) -> None:
        self.compared, self.mismatches = 0, 0
        self.by_probe = Counter[str]()
        self.first: Divergence | None = None

    def compare_step(self, run: int, number: int, commits: list[list[int]], reference: Step) -> None:
        """Commits [position, token, spread] of one step of the chip against the golden step."""
        records = [(position, token, min(spread, SPREAD_TOP)) for position, token, spread in reference.records[0]]
        for at in range(max(len(records), len(commits))):
            expected = records[at] if at < len(records) else (-1, -1, -1)
            got = commits[at] if at < len(commits) else (None, None, None)
            position = expected[0] if at < len(records) else commits[at][0]
            for name, e, g in zip(("position", "token", "spread"), expected, got, strict=True):
                self._compare(Divergence(run, number, f"commit.{name}", position, at, e, g))

    def _compare(self, point: Divergence) -> None:
        self.compared += 1
        if point.expected != point.got:
            self.mismatches += 1
            self.first = self.first or point

    def compare_values(self, run: int, number: int, expected: dict[str, np.ndarray], got: dict) -> None:
        """All probe points of one pass, int64 [positions, elements] by name, in the order in which they are passed."""
        for name, want in expected.items():
            taps = got[name]
            rows = min(len(want), len(taps))
            wrong = np.argwhere(want[:rows] != taps[:rows])
            missing = len(want) - rows
            self.compared += want.size
            self.by_probe[name] += want.size
            self.mismatches += len(wrong) + missing * want.shape[1]
            if self.first is None and (len(wrong) or missing):
                row, index = wrong[0] if len(wrong) else (rows, 0)
                value = int(taps[row, index]) if len(wrong) else None
                label = self._label(name, expected, row, index, want.shape[1])
                position = self._position(expected, len(want), row)
                self.first = Divergence(run, number, label, position, int(index), int(want[row, index]), value)

    @staticmethod
    def _position(expected: dict[str, np.ndarray], rows: int, row: int) -> int:
        """Of a row of a probe point that has so many: fewer than there are positions where only wanted ones pass."""
        wanted, first = expected.get("wanted"), int(expected["span"][0, 0]) if "span" in expected else 0
        return first + int(row if wanted is None or rows == len(wanted) else np.flatnonzero(wanted)[row])

    @staticmethod
    def _label(name: str, expected: dict[str, np.ndarray], position: int, index: int, size: int) -> str:
        """`layer.0.expert.down` to `layer.0.expert.5.down`."""
        if ".expert." not in name:
            return name
        prefix, part = name.split(".expert.")
        chosen = expected[prefix + ".router.experts"][position]
        return f"{prefix}.expert.{chosen[int(index) * len(chosen) // size]}.{part}"
