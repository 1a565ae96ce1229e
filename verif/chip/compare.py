"""Prompts through the chip and through the integer model, compared at every step and every probe point."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import Step
from hardloom.verif.chip.scoreboard import Divergence, Scoreboard, reference_steps
from hardloom.verif.chip.simulation import Run, SimulatedChip, step_of
from hardloom.verif.chip.taps import SPAN, read_taps

__all__ = ["Comparison", "compare_runs", "simulate_runs"]

Show = Callable[[int, Step], None]


@dataclass
class Comparison:
    """What came of a comparison.

    Attributes
    ----------
    runs: as the chip ran them; tokens, expected: all tokens in the end, of the chip and of the integer model.
    scoreboard: integers compared and the first that differs.
    passes: (run, step) of every pass through the model, in order.
    seconds: of simulation, of all runs but the first, whose time holds the simulator's start; see `cycles_per_s`.
    """

    runs: list[Run]
    tokens: list[list[int]]
    scoreboard: Scoreboard
    seconds: float
    passes: list[tuple[int, int]]
    expected: list[list[int]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return sum(len(run.steps) for run in self.runs)

    @property
    def cycles_per_forward(self) -> float:
        """Clock cycles of a denoising step, mean over all runs; the sampler's own included."""
        return sum(run.cycles for run in self.runs) / max(1, sum(run.forwards for run in self.runs))

    @property
    def cycles_per_s(self) -> float:
        """Simulated clock cycles a second of wall time, over all runs but the first."""
        return sum(run.cycles for run in self.runs[1:]) / self.seconds if self.seconds else 0.0


def masked(run: Run, mask_token_id: int) -> Tensor:
    """Tokens [positions] ahead of the first step."""
    return torch.tensor(run.prompt + [mask_token_id] * run.sampling.gen_length)


def simulate_runs(
    chip: SimulatedChip,
    runs: list[Run],
    taps: Path | None,
    show: Show = lambda number, step: None,
    at_once: int = 1,
    times: Path | None = None,
    writes: Sequence[tuple[str, int]] = (),
) -> Comparison:
    """Run prompts on the chip, at most `at_once` at a time.

    taps, times: files for what the probes see, and when. `show` is called with the run's number and each denoising
    step as it ends. writes: of registers, ahead of the runs.
    """
    mask, numbers = chip.model.mask_token, {id(run): number for number, run in enumerate(runs)}
    tokens = [masked(run, mask) for run in runs]
    ends: list[float] = []
    passes: list[tuple[int, int]] = []
    for run, step in chip.simulate(runs, taps, at_once, times, writes):
        if step is None:
            ends.append(time.perf_counter())
            continue
        number = numbers[id(run)]
        passes.append((number, step))
        result = step_of(run, step, tokens[number])
        tokens[number] = result.tokens[0]
        show(number, result)
    seconds = ends[-1] - ends[0] if ends else 0.0
    return Comparison(runs, [row.tolist() for row in tokens], Scoreboard(), seconds, passes)


def probed_passes(
    chip: SimulatedChip, result: Comparison, taps: Path | None
) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """What the taps saw of each pass, by run and step; nothing for every pass where `taps` is None."""
    if taps is None:
        return {at: {} for at in result.passes}
    runs = [result.runs[number] for number, _ in result.passes]
    lengths = [len(run.prompt) + run.sampling.gen_length for run in runs]
    return dict(zip(result.passes, read_taps(taps.read_bytes(), chip.probes, lengths), strict=True))


def compare_length(board: Scoreboard, number: int, expected: int, got: int) -> None:
    """The number of denoising steps of a run."""
    board.compared += 1
    if expected != got:
        board.mismatches += 1
        board.first = board.first or Divergence(number, min(expected, got), "steps", 0, 0, expected, got)


def compare_runs(
    chip: SimulatedChip,
    model: IntegerModel,
    runs: list[Run],
    taps: Path | None = None,
    show: Show = lambda number, step: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    at_once: int = 1,
    writes: Sequence[tuple[str, int]] = (),
) -> Comparison:
    """Run prompts on the chip, then compare every commit, and with `taps` every probe point, with the integer model.

    taps: a file for what the probes see; at_once: so many prompts at a time, at most. `progress` is called with the
    steps compared and their total. writes: as of `simulate_runs`.
    """
    result = simulate_runs(chip, runs, taps, show, at_once, writes=writes)
    probed = taps is not None
    cache = probed and any(probe.name == SPAN for probe in chip.probes)
    board, seen, done = result.scoreboard, probed_passes(chip, result, taps), 0
    for number, run in enumerate(runs):
        references = list(reference_steps(model, run, probed, cache))
        compare_length(board, number, len(references), len(run.steps))
        for step, commits in enumerate(run.steps):
            if step < len(references):
                board.compare_values(number, step, references[step].values, seen[number, step])
                board.compare_step(number, step, commits, references[step].step)
            done += 1
            progress(done, result.steps)
        result.expected.append(references[-1].step.tokens[0].tolist())
    return result
