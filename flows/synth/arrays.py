"""Synthesis of an array unit in parts: its neurons, all or a sample that counts for all, and its shell."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.counted import count_hierarchy
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import Texts
from hardloom.flows.synth.yosys import Options, Synthesis
from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.metal import MetalForm
from hardloom.gen.arrays.rings import rings
from hardloom.gen.build.names import connection_file
from hardloom.gen.design.matrices import array_units
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file
from hardloom.golden.parallel import HERE
from hardloom.golden.quantization.formats import quantize
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.quantize import Quantize

__all__ = [
    "FORMAT",
    "SHELL",
    "Parts",
    "Setup",
    "limits",
    "normal_matrix",
    "plan_matrix",
    "stored_matrix",
    "synthesize_cell",
    "synthesize_counted",
    "synthesize_flat",
    "write",
]

FORMAT, BITS = "mxfp4", 8
BEHIND_SHELL = "shared_subsets"
SHELL = ("array_shell", "hardloom_")
"""How the names of a shell's modules start."""
APART = (*SHELL, BEHIND_SHELL)  # modules of which all neurons together have one or some


@dataclass(frozen=True)
class Parts:
    """plan: of the whole array; core: `sampled` neurons; shell: of the whole array, with what is prefabricated for all
    arrays; shared_ge: gates of what neurons share behind the shell; seconds: of planning and emission; size: bytes of
    the connections; cpu_seconds: of all synthesis."""

    plan: ArrayPlan
    core: Synthesis
    sampled: int
    shell: Synthesis
    seconds: float
    size: int
    shared_ge: float
    cpu_seconds: float

    @cached_property
    def core_ge(self) -> float:
        """Gates (NAND2 = 1) of all neurons."""
        return self.core.ge * self.plan.rows * self.plan.banks / self.sampled


class Setup(NamedTuple):
    """How a matrix is made an array: what follows it in `plan_matrix`.

    lanes: of its shell; format: of weights; bits: of activations.
    """

    style: str
    slices: int
    lanes: int
    format: str = FORMAT
    bits: int = BITS


def normal_matrix(neurons: int, inputs: int, format: str = FORMAT) -> IntegerMatrix:
    """Normal weights of deviation 1, quantized; the same every time."""
    values = np.random.default_rng(0).standard_normal((neurons, inputs))
    return quantize(torch.from_numpy(values).float(), format).integers()


def stored_matrix(
    checkpoint: QuantizedCheckpoint, neurons: int, inputs: int, format: str = FORMAT, kind: str | None = None
) -> IntegerMatrix:
    """The first `neurons` rows of a checkpoint's hardwired matrices of a format with `inputs` columns, of one `kind`
    (`TensorShape.short_kind`) or of any.

    Raises UserError where there are fewer.
    """
    matrices = [matrix for matrix in checkpoint.model.matrices() if kind in (None, matrix.short_kind)]
    shapes = {matrix.name: matrix.shape for matrix in matrices}
    found: list[IntegerMatrix] = []
    names = [name for unit in array_units(checkpoint.model) for name in unit.matrices if name in shapes]
    for name in names:
        fits = shapes[name][1] == inputs and checkpoint.format_of(name) == format
        if fits and sum(len(part.weights) for part in found) < neurons:
            found.append(checkpoint.integers(name))
    rows = sum(len(part.weights) for part in found)
    if rows < neurons:
        raise UserError(
            f"{checkpoint.path}: has {rows} rows {f'of kind {kind} ' if kind else ''}of {inputs} inputs in {format}, "
            f"not {neurons}; "
            "choose other --sizes or another --format"
        )
    weights, mant, exp = (
        torch.cat([getattr(part, field).int() for part in found])[:neurons] for field in ("weights", "mant", "exp")
    )
    return IntegerMatrix(weights, mant, exp, max(part.max_spread for part in found))


def plan_matrix(
    matrix: IntegerMatrix, style: str, slices: int, lanes: int, format: str = FORMAT, bits: int = BITS
) -> ArrayPlan:
    """Plan of a matrix as an array unit by itself, for activations of so many bits."""
    return plan_array("bench", [matrix], lanes, slices, style, format, Quantize(width=bits))


def sample_plan(plan: ArrayPlan, neurons: int) -> ArrayPlan:
    """The first cells of `plan` as an array of their own, a lane each: about `neurons`, at least one cell."""
    fold = plan.form.fold
    cells = rings(plan.rows, plan.lanes, fold)
    rows = cells[: max(1, neurons // fold)].T
    return replace(plan, matrices=(plan.matrices[0][rows[rows >= 0]],), lanes=rows.shape[1])


def write(plan: ArrayPlan, folder: Path) -> dict[str, Path]:
    """Emit an array into `folder`, made first: files by module, the array's own last."""
    folder.mkdir()
    prefab, connections = emit(plan)
    files = {}
    for name, text in [*((n, t.encode()) for n, t in prefab.items()), *connections.items()]:
        files[name.removesuffix(".v")] = folder / name
        (folder / name).write_bytes(text)
    return files


def limits(library: Library, timeout_s: float = 900.0) -> Options:
    """Area alone; a process may take more memory than a module of a chip, since a whole sample is flattened."""
    return Options(library, timeout_s=timeout_s, memory_gib=16.0)


def synthesize_shell(plan: ArrayPlan, files: dict[str, Path], library: Library) -> Synthesis:
    """The shell with everything that is prefabricated for all arrays."""
    shell = files[plan.shell]
    common = [path for module, path in files.items() if module.startswith("hardloom_")]
    return synthesize([shell, *common], shell.stem, limits(library))


def synthesize_cell(matrix: IntegerMatrix, library: Library, setup: Setup) -> Parts:
    """Prefabricated cells, every slot there: one counts for all."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        plan = plan_matrix(matrix, *setup)
        files = write(plan, Path(folder) / "whole")
        seconds = time.process_time() - start
        core, shell = mean_cell(plan, files, library), synthesize_shell(plan, files, library)
        return parts_of(plan, core, plan.form.fold, shell, seconds, files[plan.name].stat().st_size)


def mean_cell(plan: ArrayPlan[MetalForm], files: dict[str, Path], library: Library) -> Synthesis:
    """The usual neuron cell, with the gates that a cell has on average of the kinds of the one bank."""
    form, cells = plan.form, rings(plan.rows, plan.lanes, plan.form.fold)
    cores = [synthesize([files[name]], name, limits(library)) for name in map(form.module_of, form.cells[0])]
    kinds = form.kind_of_cells(0, plan.matrices[0], cells)
    gates, seconds = (np.array([getattr(core, name) for core in cores]) for name in ("ge", "cpu_seconds"))
    return replace(cores[0], ge=float(gates[kinds].mean()), cpu_seconds=float(seconds.sum()))


def synthesize_flat(
    matrix: IntegerMatrix,
    library: Library,
    setup: Setup,
    sample: int | None = None,
    apart: tuple[str, ...] = APART,
) -> Parts:
    """The cells of about `sample` neurons (all) flattened together, constants and unused slots optimised away.

    What they share behind the shell is synthesized by itself and counted as often as the array has it, if its modules'
    names start like one of `apart`.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        plan = plan_matrix(matrix, *setup)
        files = write(plan, Path(folder) / "whole")
        seconds = time.process_time() - start
        shell = synthesize_shell(plan, files, library)
        # a beat of theirs is a cycle's inputs or more
        least = plan.lanes * plan.form.fold if plan.style.addressed else 1
        some = plan if sample is None or max(sample, least) >= plan.rows else sample_plan(plan, max(sample, least))
        cut = write(some, Path(folder) / "part")
        boxes = [path for module, path in cut.items() if module.startswith(apart)]
        sources = [path for path in cut.values() if path not in boxes]
        core = synthesize(sources, some.name, limits(library), black_boxes=boxes)
        shared = [
            (synthesize([path], path.stem, limits(library)), core.instances[path.stem])
            for path in boxes
            if path.stem.startswith(BEHIND_SHELL)
        ]
        return parts_of(plan, core, some.rows, shell, seconds, files[plan.name].stat().st_size, shared)


def synthesize_counted(matrix: IntegerMatrix, library: Library, setup: Setup) -> Parts:
    """An array too large to be flattened: every module and every kind of plane by itself, each as often as the text has
    it (`count_hierarchy`). Raises SynthesisError where one of them fails."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        plan = plan_matrix(matrix, *setup)
        texts, size = write_apart(plan, Path(folder) / "array")
        seconds = time.process_time() - start
        found, _ = count_hierarchy(texts, plan.name, limits(library), Cache(Path(folder) / "synthesis" / "cache"), HERE)
    for name, reason in found.failed.items():
        raise SynthesisError(f"{name}: {reason}")
    whole, shell = (found.total(name)["ge"] for name in (plan.name, plan.shell))
    cpu_seconds = sum(module.cpu_seconds for module in found.modules.values())
    core = replace(found.modules[plan.name], ge=whole - shell, cpu_seconds=cpu_seconds)
    return parts_of(plan, core, plan.rows, replace(found.modules[plan.shell], ge=shell, cpu_seconds=0.0), seconds, size)


def write_apart(plan: ArrayPlan, folder: Path) -> tuple[Texts, int]:
    """Emit an array into `folder` as it stands in a build, and bytes of the connections."""
    prefab, connections = emit(plan)
    files = {f"rtl/prefab/{name}": text.encode() for name, text in prefab.items()}
    files |= {connection_file(plan.name): connections[f"{plan.name}.v"]}
    for name, text in files.items():
        write_file(folder / name, text)
    return Texts(folder, files), len(connections[f"{plan.name}.v"])


def parts_of(
    plan: ArrayPlan,
    core: Synthesis,
    sampled: int,
    shell: Synthesis,
    seconds: float,
    size: int,
    shared: Sequence[tuple[Synthesis, int]] = (),
) -> Parts:
    ge = sum(part.ge * count for part, count in shared)
    cpu_seconds = core.cpu_seconds + shell.cpu_seconds + sum(part.cpu_seconds for part, _ in shared)
    return Parts(plan, core, sampled, shell, seconds, size, ge, cpu_seconds)
