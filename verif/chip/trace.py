"""The waveform of one denoising step of the simulated chip."""

from pathlib import Path

from hardloom.golden.files import replacing
from hardloom.verif.chip.bench import BENCH
from hardloom.verif.chip.requests import ChipJob
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.simulators.runner import run_tests
from hardloom.verif.simulators.waveform import verilate_traced, window

__all__ = ["trace_step"]

QUIET = ("*/rtl/arrays/*", "*/rtl/prefab/*")
"""Files left out: what enters and leaves the arrays is in the units around them."""

MARGIN = 0.25
"""Part of a step that is shown before and behind it; the host's own cycles shift steps by a few hundred."""


def trace_step(chip: SimulatedChip, run: Run, step: int, file: Path) -> Path:
    """Write the clock cycles of denoising step `step` (from 0) of `run`, which has run before, to `file` (FST).

    Builds a second, traced simulation beside the first, which takes as long as the first.
    """
    folder = chip.folder / "waveform"
    verilate_traced(chip.sources, BENCH, folder / "verilator", QUIET)
    job = ChipJob([run.request(chip.model, chip.build.hardware)], str((folder / "results.jsonl").resolve()))
    length = run.cycles / max(1, run.forwards)
    first, last = max(0, int((step - MARGIN) * length)), int((step + 1 + MARGIN) * length) + 1000
    with replacing(file) as partial:
        environment = job.hand_over(folder) | window(partial, first, last)
        log = folder / "simulation.log"  # runs where the tables of a table view are
        run_tests(BENCH, "hardloom.verif.chip.tests", chip.folder, environment, build=folder / "verilator", log=log)
    return file
