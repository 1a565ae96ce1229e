"""The emitted chip as an engine: quantize, generate and build what is missing, then run prompts on the RTL."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hardloom.gen.build.clock_enables import enabled_chip
from hardloom.gen.build.folder import Build
from hardloom.gen.design.features import check_program
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.engine.inventory import chip_probes
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256, stamped, write_file
from hardloom.golden.samplers.denoise import Prediction, Step
from hardloom.golden.samplers.sampling import Asked
from hardloom.golden.shape import ModelShape
from hardloom.verif.chip.bench import BENCH, PROTOCOL_CHECKER, bench_verilog
from hardloom.verif.chip.requests import ChipJob, Request
from hardloom.verif.chip.table_view import ChipTables
from hardloom.verif.simulators.coverage import ARGUMENTS, configuration
from hardloom.verif.simulators.fast_forward import fast_forward_main
from hardloom.verif.simulators.links import linked
from hardloom.verif.simulators.runner import compile_icarus, run_tests
from hardloom.verif.simulators.verilator import verilate

__all__ = ["VIEWS", "Run", "SimulatedChip", "step_of"]

VIEWS = ("wiring", "table", "enables")
FOLDERS = {"verilator": "chip", "icarus": "icarus"}
"""Of simulators, in the cache's entry of a build."""
OTHER_FOLDERS = {"table": "tables", "enables": "enables"}
"""Of views that are not the wiring."""


@dataclass
class Run:
    """One prompt on the chip. steps: commits [position, token, spread] a denoising step, in order; started: the clock
    cycle of its START, to be compared with that of other runs."""

    prompt: list[int]
    sampling: Asked
    steps: list[list[list[int]]] = field(default_factory=list)
    started: int = 0
    cycles: int = 0
    forwards: int = 0
    saturations: int = 0
    error: int = 0

    def request(self, model: ModelShape, hardware: HardwareConfig) -> Request:
        """What a chip of the model is asked for. Raises UserError as `check_program` does."""
        program = self.sampling.program(model)
        check_program(program, hardware.to_json_dict())
        return Request(prompt=self.prompt, gen_length=self.sampling.gen_length, program=list(program.words))


class SimulatedChip:
    """A build folder's Verilog under a simulator, built once.

    Every file of the Verilog is hashed each time. The executable is in the user's cache, whatever the build folder
    brings, and is made again when the manifest changes; `arguments` are Verilator's. `build_seconds` is what it took
    to make it; `sources` are what it is made from.

    simulator: one of `verif.simulators.runner.SIMULATORS`; Icarus, which knows the unknown value, is for short runs.
    view: one of `VIEWS`: `wiring`, as it was emitted; `table`, of arrays and ROMs (`verif.chip.table_view`); `enables`,
        as FPGAs take it (`gen.build.clock_enables`).
    covered: count what the runs reach (`verif.simulators.coverage`), in a simulation of its own: of Verilator, of the
        wiring. `coverage` are the files, one for each call of `simulate`.
    on_build: called where it has to be made, before that starts; on_table: with the tables that are there and their
        total.
    """

    def __init__(
        self,
        build: Build,
        arguments: Sequence[str] = (),
        simulator: str = "verilator",
        view: str = "wiring",
        covered: bool = False,
        on_build: Callable[[], None] = lambda: None,
        on_table: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        top = build.require_chip()
        self.build, self.simulator = build, simulator
        self.folder = work_folder(build.path, "coverage" if covered else OTHER_FOLDERS.get(view, FOLDERS[simulator]))
        self.coverage: list[Path] | None = [] if covered else None
        checkpoint = build.checkpoint()
        self.model = checkpoint.model
        self.probes = chip_probes(self.model, checkpoint.numerics, build.hardware)
        verilog = build.verilog()  # every file as the manifest says, each time
        if view == "table":
            verilog = ChipTables(build, self.folder).write(on_table)
        elif view == "enables":
            verilog = enabled(top, verilog, self.folder)
        self.sources = [*verilog, PROTOCOL_CHECKER, self.folder / f"{BENCH}.v"]
        if covered:
            arguments = [*arguments, *ARGUMENTS]
            self.sources.insert(0, self.folder / "coverage.vlt")
            write_file(self.sources[0], configuration([f"*/{BENCH}.v", f"*/{PROTOCOL_CHECKER.name}"]))
        bench, main = bench_verilog(top, self.probes, build.hardware.sequences), fast_forward_main()
        said = [build.path / "manifest.json"] if view == "wiring" else verilog  # of what is compiled
        parts = [*map(sha256, [*said, PROTOCOL_CHECKER]), bench, main, *arguments]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        seconds = self.folder / "build_seconds"
        with stamped(self.folder / "stamp", key) as stale:
            if stale:
                write_file(self.folder / f"{BENCH}.v", bench)
                write_file(self.folder / "main.cpp", main)
                on_build()
                begin = time.perf_counter()
                self._compile(arguments)
                write_file(seconds, f"{time.perf_counter() - begin:.1f}\n")
        self.build_seconds = float(seconds.read_text())

    def _compile(self, arguments: Sequence[str]) -> None:
        folder = self.folder / self.simulator
        if self.simulator == "icarus":
            compile_icarus(self.sources, BENCH, folder.resolve())
        else:
            verilate(self.sources, BENCH, folder, arguments, self.folder / "main.cpp")

    def simulate(
        self,
        runs: list[Run],
        taps: Path | None = None,
        at_once: int = 1,
        times: Path | None = None,
        writes: Sequence[tuple[str, int]] = (),
    ) -> Iterator[tuple[Run, int | None]]:
        """Run prompts, at most `at_once` at a time; yields (run, step) as each step ends and (run, None) as a run ends.

        Steps come in the order of their passes through the model. taps: a file for what the probes see, times: for
        when; see `verif.chip.taps`. writes: of registers, ahead of the runs.
        """
        results = self.folder / "results.jsonl"
        results.unlink(missing_ok=True)
        for run in runs:
            run.steps = []
        requests = [run.request(self.model, self.build.hardware) for run in runs]
        job = ChipJob(requests, str(results.resolve()), at_once, [*writes])
        failed: list[int | BaseException] = []
        files = {"taps": taps, "times": times}
        plusargs = [f"+{name}={linked([file], self.folder)[0]}" for name, file in files.items() if file is not None]
        if self.coverage is not None:
            self.coverage.append(self.folder / f"coverage_{len(self.coverage)}.dat")
            plusargs.append(f"+verilator+coverage+file+{self.coverage[-1].name}")
        worker = threading.Thread(target=self._work, args=(job.hand_over(self.folder), plusargs, failed), daemon=True)
        worker.start()
        for line in _follow(results, worker):
            run = runs[line["run"]]
            if "commits" in line:
                run.steps.append(line["commits"])
                yield run, len(run.steps) - 1
            else:
                run.cycles, run.forwards, run.error = line["cycles"], line["forwards"], line["error"]
                run.started, run.saturations = line["started"], line["saturations"]
                yield run, None
        worker.join()
        if failed != [0]:
            log, why = self.folder / "simulation.log", str(failed[0] if failed else "no result").splitlines()[0]
            raise UserError(
                f"{log}: the simulation broke off ({why:.80}); the end of that file says more, run it again"
            )

    def _work(self, environment: dict[str, str], plusargs: list[str], failed: list) -> None:
        try:
            tests = "hardloom.verif.chip.tests"
            failed.append(
                run_tests(BENCH, tests, self.folder, environment, plusargs=plusargs, simulator=self.simulator)
            )
        except BaseException as error:
            failed.append(error)


def enabled(top: str, verilog: Sequence[Path], folder: Path) -> list[Path]:
    """One file in `folder` of all modules of `verilog`, with register enables in place of clock gates."""
    file = folder / "enables.v"
    write_file(file, "\n".join(enabled_chip(top, ((path, path.read_text()) for path in verilog))))
    return [file]


def _follow(path: Path, worker: threading.Thread) -> Iterator[dict[str, Any]]:
    """Lines of a file that `worker` is writing, as JSON, until it has ended."""
    text, offset = "", 0
    while True:
        alive = worker.is_alive()
        if path.exists():
            with path.open() as file:
                file.seek(offset)
                text += file.read()
                offset = file.tell()
        *lines, text = text.split("\n")
        yield from (json.loads(line) for line in lines)
        if not alive:
            return
        time.sleep(0.02)


def step_of(run: Run, number: int, before: Tensor) -> Step:
    """Commits of one step as a `Step`, of which that is all; `before` are the tokens [positions] ahead of it."""
    tokens, spread = before.clone(), torch.zeros_like(before)
    committed = torch.zeros(before.shape, dtype=torch.bool)
    for position, token, value in run.steps[number]:
        tokens[position], spread[position], committed[position] = token, value, True
    records = tuple((position, token, value) for position, token, value in run.steps[number])
    prediction = Prediction(tokens[None], spread[None])
    return Step(number, tokens[None], committed[None], prediction, (None,), (records,))
