"""Synthesis of an array unit in parts: its neurons, all or a sample that counts for all, and its shell."""

import tempfile
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from flows.synth.liberty import Library
from flows.synth.yosys import Synthesis, synthesize
from gen.arrays import ArrayPlan, emit, plan_array
from golden.formats import quantize
from golden.integers import IntegerMatrix

__all__ = ["FORMAT", "Parts", "normal_matrix", "plan_matrix", "synthesize_cell", "synthesize_flat"]

FORMAT = "mxfp4"


@dataclass(frozen=True)
class Parts:
    """plan: of the whole array; core: `sampled` neurons; shell: of the whole array, with what is prefabricated for all
    arrays; seconds: of planning and emission; size: bytes of the connections."""

    plan: ArrayPlan
    core: Synthesis
    sampled: int
    shell: Synthesis
    seconds: float
    size: int

    @cached_property
    def core_ge(self) -> float:
        """Gates (NAND2 = 1) of all neurons."""
        return self.core.ge * self.plan.rows * self.plan.banks / self.sampled


def normal_matrix(neurons: int, inputs: int) -> IntegerMatrix:
    """Normal weights of deviation 1, quantized; the same every time."""
    values = np.random.default_rng(0).standard_normal((neurons, inputs))
    return quantize(torch.from_numpy(values).float(), FORMAT).integers()


def plan_matrix(matrix: IntegerMatrix, style: str, slices: int, lanes: int, rows: int | None = None) -> ArrayPlan:
    """Plan of a matrix, or of its first rows, as a bank by itself."""
    part = replace(matrix, weights=matrix.weights[:rows], mant=matrix.mant[:rows], exp=matrix.exp[:rows])
    return plan_array("bench", [part], lanes, slices, style, FORMAT)


@dataclass(frozen=True)
class Written:
    """plan; files by module; seconds: of planning and emission; size: bytes of the connections."""

    plan: ArrayPlan
    files: dict[str, Path]
    seconds: float
    size: int


def write(matrix: IntegerMatrix, style: str, slices: int, lanes: int, folder: Path, rows: int | None = None) -> Written:
    """Plan and emit an array into ``folder``, made first."""
    folder.mkdir()
    start = time.process_time()
    plan = plan_matrix(matrix, style, slices, lanes, rows)
    prefab, connections = emit(plan)
    seconds = time.process_time() - start
    files = {}
    for name, text in [*((n, t.encode()) for n, t in prefab.items()), *connections.items()]:
        files[name.removesuffix(".v")] = folder / name
        (folder / name).write_bytes(text)
    return Written(plan, files, seconds, sum(map(len, connections.values())))


def synthesize_shell(written: Written, library: Library) -> Synthesis:
    """The shell with everything that is prefabricated for all arrays."""
    shell = written.files[written.plan.prefab_modules[0]]
    common = [path for module, path in written.files.items() if module.startswith("hardloom_")]
    return synthesize([shell, *common], shell.stem, library)


def synthesize_cell(matrix: IntegerMatrix, library: Library, style: str, slices: int, lanes: int) -> Parts:
    """Prefabricated cells, every slot there: one counts for all."""
    with tempfile.TemporaryDirectory() as folder:
        written = write(matrix, style, slices, lanes, Path(folder) / "whole")
        cell = written.files[written.plan.prefab_modules[1]]
        core, shell = synthesize([cell], cell.stem, library), synthesize_shell(written, library)
    return Parts(written.plan, core, 1, shell, written.seconds, written.size)


def synthesize_flat(
    matrix: IntegerMatrix, library: Library, style: str, slices: int, lanes: int, sample: int | None = None
) -> Parts:
    """The neurons of the first ``sample`` rows (all) flattened together, constants and unused slots optimised away."""
    with tempfile.TemporaryDirectory() as folder:
        written = write(matrix, style, slices, lanes, Path(folder) / "whole")
        shell = synthesize_shell(written, library)
        sample = min(sample or written.plan.rows, written.plan.rows)
        some = write(matrix, style, slices, lanes, Path(folder) / "part", sample)
        boxes = [path for module, path in some.files.items() if module.startswith(("array_shell", "hardloom_"))]
        sources = [path for path in some.files.values() if path not in boxes]
        core = synthesize(sources, some.plan.name, library, black_boxes=boxes)
    return Parts(written.plan, core, sample, shell, written.seconds, written.size)
