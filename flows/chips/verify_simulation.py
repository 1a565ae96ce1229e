"""`hardloom verify --sim`: the chip against the integer model, and the bench of every unit."""

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from hardloom.flows.chips.coverage import with_coverage
from hardloom.flows.chips.outcomes import Outcome, report_outcomes
from hardloom.flows.chips.verify_adapters import adapter_outcome
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check, notice
from hardloom.flows.models.saturations import broken_promise, counted_by_chip, saturated_in_words
from hardloom.gen.build.folder import Build
from hardloom.gen.design.registers import ErrorCode
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.folders import check_ours
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.language.compiler import Vocabulary
from hardloom.golden.samplers.machine import SUPPRESSED, Instruction, Op, Program
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ModelShape
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import VIEWS, Run, SimulatedChip
from hardloom.verif.chip.trace import trace_step
from hardloom.verif.streams import bench

__all__ = ["verify_simulation"]


def random_runs(model: IntegerModel, max_positions: int, seed: int = 0) -> list[Run]:
    """Prompts of random tokens but the mask: several geometries and samplers, as long as it holds."""
    shape, draw = model.shape, torch.Generator().manual_seed(seed)
    longest = min(max_positions, shape.max_position_embeddings)
    with_end = 0 < len(shape.eos_token_ids) <= SUPPRESSED
    samplers = [
        Sampling.of("llada", gen_length=8, block_length=4, steps=4),
        Sampling.of("llada", gen_length=6, block_length=2, steps=3),
        Sampling.of("llada", gen_length=8, block_length=8, steps=3, suppress_eos=int(with_end)),
        Sampling.of("threshold", gen_length=8, block_length=4, threshold=0.3),
        Sampling.of("left_to_right", gen_length=4),
        Sampling.of("threshold", gen_length=4, block_length=4, threshold=1.0),
    ]
    lengths = [6, 1, 9, 5, 3, longest - 4]
    chosen = [(n, s) for n, s in zip(lengths, samplers, strict=True) if 0 < n <= longest - s.gen_length]
    drawn = [(torch.randint(shape.vocab_size - 1, (n,), generator=draw), s) for n, s in chosen]
    return [Run((tokens + (tokens >= shape.mask_token)).tolist(), s) for tokens, s in drawn]


@dataclass(frozen=True)
class Written:
    """A sampler that is a program as it stands."""

    gen_length: int
    instructions: tuple[Instruction, ...]

    def program(self, model: Vocabulary) -> Program:
        return Program.of("written", self.instructions)


def refused_runs(model: ModelShape, max_positions: int) -> list[tuple[Run, ErrorCode]]:
    """Requests that make no sense, with the error code that each must come to."""
    first, short = int(model.mask_token == 0), Sampling.of("llada", gen_length=4, block_length=2, steps=2)
    full = Sampling.of("llada", gen_length=max_positions, block_length=max_positions, steps=1)
    return [
        (Run([first], full), ErrorCode.LENGTH),
        (Run([model.vocab_size], short), ErrorCode.TOKEN),
        (Run([first, model.mask_token], short), ErrorCode.TOKEN),
        (Run([first], Written(4, ())), ErrorCode.PROGRAM),
        (Run([first], Written(4, (Instruction(Op.ILLEGAL),))), ErrorCode.ILLEGAL),
        (Run([first], Written(4, (Instruction(Op.PREDICT),))), ErrorCode.POSITION),
    ]


def chip_outcomes(chip: SimulatedChip, show: Callable[[int, int], None]) -> list[Outcome]:
    """Random prompts, every step and every probe point compared; then refused requests with a prompt behind them,
    and an adapter, where the chip has memories for one.

    The first divergence gets a waveform of its step, BUILD/verify.fst.
    """
    checkpoint = chip.build.checkpoint()
    model = IntegerModel(checkpoint, watched=True)
    runs = random_runs(model, chip.build.hardware.max_positions)
    outcomes: list[Outcome] = []
    for number, run in enumerate(runs):
        outcomes.append(run_outcome(chip, model, run, trace=all(o.failure is None for o in outcomes)))
        show(number + 1, len(runs) + 1)
    outcomes.append(saturation_outcome(checkpoint, model, runs))
    outcomes.append(refusal_outcome(chip, model, runs[0]))
    if chip.build.hardware.adapter_rank:
        outcomes.append(adapter_outcome(chip, runs[0]))
    return outcomes


def run_outcome(chip: SimulatedChip, model: IntegerModel, run: Run, trace: bool) -> Outcome:
    """One prompt on the chip and in the integer model; where they differ, and `trace`, a waveform."""
    begin, taps = time.perf_counter(), chip.folder / "taps.txt"
    board = compare_runs(chip, model, [run], taps).scoreboard
    taps.unlink(missing_ok=True)
    name = f"prompt of {len(run.prompt)}, {run.sampling}"
    failure = None
    if board.first is not None:
        failure = f"{board.mismatches} integers differ; first: {board.first}"
        if trace:
            failure += f"; waveform: {trace_step(chip, run, board.first.step, chip.build.path / 'verify.fst')}"
    detail = f"{board.compared:,} integers, {run.cycles:,} cycles, {run.saturations:,} sums saturated"
    return Outcome("chip", name, time.perf_counter() - begin, detail, failure)


def saturation_outcome(checkpoint: QuantizedCheckpoint, model: IntegerModel, runs: list[Run]) -> Outcome:
    """No value saturated, in the integer model or by the chip's count, where a calibration promised that."""
    by_chip = sum(run.saturations for run in runs)
    saturated = model.saturations or counted_by_chip(by_chip)
    detail = f"{saturated_in_words(saturated)}; {by_chip:,} sums by the chip's count"
    return Outcome("chip", "saturations", 0.0, detail, broken_promise(checkpoint, saturated))


def refusal_outcome(chip: SimulatedChip, model: IntegerModel, good: Run) -> Outcome:
    """Every refused request comes to its error code, and a prompt right after all of them runs as it did before."""
    begin = time.perf_counter()
    refused = refused_runs(chip.model, chip.build.hardware.max_positions)
    after = Run(good.prompt, good.sampling)
    for _ in chip.simulate([*(run for run, _ in refused), after]):
        pass
    wrong = [
        f"{run.prompt}, {run.sampling}: error {run.error}, expected {code}"
        for run, code in refused
        if run.error != code
    ]
    if (after.steps, after.error) != (good.steps, 0):
        wrong.append(f"the prompt after them came to {after.steps}, error {after.error}, expected {good.steps}")
    detail = f"{len(refused)} requests refused, 1 prompt after them"
    return Outcome("chip", "refused requests", time.perf_counter() - begin, detail, "; ".join(wrong) or None)


def unit_outcomes(folder: Path) -> list[Outcome]:
    """The bench of every unit, by test."""
    bench.run([], folder)
    outcomes = []
    for test in ElementTree.parse(folder / "results.xml").getroot().iter("testcase"):
        failures = [*test.iter("failure"), *test.iter("error")]
        failure = None if not failures else failures[0].get("message") or failures[0].get("error_msg") or "failed"
        outcomes.append(Outcome("units", test.get("name", ""), float(test.get("time", 0)), "", failure))
    return outcomes


def verify_simulation(path: Path, units: bool, view: str, coverage: Path | None = None) -> Check:
    """The chip on random prompts and, with `units`, the bench of every unit. Writes JUnit XML to `path`/verify.xml.

    view: of arrays and ROMs, one of `verif.chip.simulation.VIEWS`. coverage: a file to write of what the prompts reach.
    """
    if view not in VIEWS:
        raise UserError(f"--view: {view!r} is unknown; choose of {', '.join(VIEWS)}")
    build = Build(path)
    check_ours(path, "build")
    notice("building the simulation with Verilator and g++; takes minutes where it is not there yet")
    chip = SimulatedChip(build, view=view, covered=coverage is not None)
    with progress_bar("simulating", "prompts") as progress:
        outcomes = chip_outcomes(chip, progress)
    if units:
        outcomes += unit_outcomes(work_folder(path, "units"))
    check = report_outcomes(path, outcomes)
    return check if coverage is None else with_coverage(check, chip, coverage)
