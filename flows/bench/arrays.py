"""`hardloom bench arrays`: the same matrices in every style, by da4ml and as plain Verilog, through one synthesis.

A row of figures is one matrix in one style. Where neurons are alike, a sample of them is synthesized and counts for
all; the shell (input buffer, control, what all neurons share) is synthesized whole, for the whole array.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flows.console.progress import progress_bar
from flows.console.report import Part, notice, table
from flows.synth.arrays import FORMAT, Parts, limits, normal_matrix, stored_matrix, synthesize_cell, synthesize_flat
from flows.synth.library.liberty import Library
from flows.synth.yosys import synthesize
from gen.arrays.styles import STYLES
from gen.text.yosys import SynthesisError
from golden.errors import UserError
from golden.quantization.integers import IntegerMatrix
from golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["Figures", "arrays", "arrays_parts", "jobs_at", "measure", "parse_sizes"]

PEER_INPUTS = 256  # the largest that peers solve in minutes
LANES = 8
SLICES = (1, 4, 16, 64)
FLATTENED = 16  # slices from which on a cell of that many neurons is too large to be flattened
SAMPLE = 32  # neurons of a shared-logic style that are synthesized for all


@dataclass(frozen=True)
class Figures:
    """One array.

    Attributes
    ----------
    style: one of `gen.arrays.styles`, `da4ml` or `plain`; `metal` and `packed` count every prefabricated slot, used or
        not, `metal flat` and `packed flat` what is left when unused slots are optimised away.
    cycles: a product takes, results not drained; packet_cycles: from one packet to the next.
    ge_per_weight: everything, shell included; core_ge_per_weight: neurons alone; shared_ge_per_weight: what they share
        behind the shell. um2_per_weight: None where the library's unit is not um2.
    sampled: neurons synthesized. critical_path_ns: ABC's in the neurons, between registers, full adders and
        ports, nothing buffered.
    bound: ge_per_weight over bits / log2(bits), the gates that Lupanov's bound asks for random bits.
    """

    style: str
    neurons: int
    inputs: int
    slices: int
    lanes: int
    cycles: int
    packet_cycles: int
    ge_per_weight: float
    core_ge_per_weight: float
    shared_ge_per_weight: float
    um2_per_weight: float | None
    ge_cycles: float
    bound: float
    library: str
    critical_path_ns: float | None
    generate_s: float
    verilog_bytes_per_weight: float
    sampled: int
    synthesis_cpu_s: float


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """`16x64,128x2048` to pairs of neurons and inputs."""
    try:
        sizes = [tuple(map(int, size.split("x"))) for size in text.split(",")]
    except ValueError:
        sizes = [()]
    if any(len(size) != 2 or size[0] < 1 or size[1] < 32 or size[1] % 32 for size in sizes):
        raise UserError(f"--sizes: {text!r} is not NEURONSxINPUTS, separated by commas, inputs multiples of 32")
    return [(size[0], size[1]) for size in sizes]


def measure(
    sizes: list[tuple[int, int]],
    styles: list[str],
    library: Library,
    progress: Callable[[int, int], None],
    weights: Callable[[int, int], IntegerMatrix] = normal_matrix,
) -> list[Figures]:
    """Figures of ``styles`` (all, if none is named) at all sizes; a style that takes too long at a size has none.

    weights: the matrix for so many neurons and inputs.
    """
    jobs = [(size, job) for size in sizes for style, job in jobs_at(*size) if not styles or style in styles]
    matrices = {size: weights(*size) for size in sizes}
    found = []
    for done, ((neurons, inputs), job) in enumerate(jobs):
        matrix = matrices[neurons, inputs]
        try:
            found.append(job(matrix, library))
        except SynthesisError as error:
            notice(f"{neurons}x{inputs}: {error}")
        progress(done + 1, len(jobs))
    return found


def jobs_at(neurons: int, inputs: int) -> Iterator[tuple[str, Callable[[IntegerMatrix, Library], Figures]]]:
    """Styles, and what measures them at a size."""
    slices = [t for t in SLICES if inputs // t >= 16]
    prefabricated = [style.name for style in STYLES.values() if style.prefabricated]
    for style in prefabricated:
        for t in slices:
            yield style, partial(_homogeneous, style=style, slices=t)
    for style in prefabricated:
        for t in (t for t in slices if t <= FLATTENED):
            yield f"{style} flat", partial(_flat, style=style, slices=t, name=f"{style} flat", sample=8)
    for style in (style.name for style in STYLES.values() if style.addressed):
        yield style, partial(_flat, style=style, slices=inputs, name=style, sample=SAMPLE)
    if inputs <= PEER_INPUTS:
        for style in (style.name for style in STYLES.values() if style.baseline):
            yield style, partial(_flat, style=style, slices=1, name=style, sample=8)
        yield "da4ml", _da4ml
        yield "plain", _plain


def _homogeneous(matrix: IntegerMatrix, library: Library, style: str, slices: int) -> Figures:
    return _figures(synthesize_cell(matrix, library, style, slices, LANES), style, library)


def _flat(matrix: IntegerMatrix, library: Library, style: str, slices: int, name: str, sample: int) -> Figures:
    return _figures(synthesize_flat(matrix, library, style, slices, LANES, sample), name, library)


def _figures(parts: Parts, style: str, library: Library) -> Figures:
    plan, core_ge = parts.plan, parts.core_ge
    weights = plan.weights
    ge = (core_ge + parts.shared_ge + parts.shell.ge) / weights
    cycles = plan.form.steps
    return Figures(
        style=style,
        neurons=plan.rows,
        inputs=plan.inputs,
        slices=plan.slices,
        lanes=plan.lanes,
        cycles=cycles,
        packet_cycles=plan.cycles_per_packet,
        ge_per_weight=round(ge, 3),
        core_ge_per_weight=round(core_ge / weights, 3),
        shared_ge_per_weight=round(parts.shared_ge / weights, 3),
        um2_per_weight=_um2(ge, library),
        ge_cycles=round(ge * cycles, 1),
        bound=round(ge / _lupanov(plan.matrices[0]), 2),
        library=library.name,
        critical_path_ns=_rounded(parts.core.abc_delay_ns),
        generate_s=round(parts.seconds, 3),
        verilog_bytes_per_weight=round(parts.size / weights, 2),
        sampled=parts.sampled,
        synthesis_cpu_s=round(parts.cpu_seconds, 1),
    )


def _rounded(nanoseconds: float | None) -> float | None:
    """To a picosecond."""
    return None if nanoseconds is None else round(nanoseconds, 3)


def _um2(ge: float, library: Library) -> float | None:
    """Square micrometres; the embedded library's unit of area is the NAND2 itself."""
    return None if library.nand2.area == 1 else round(ge * library.nand2.area, 3)


def _lupanov(matrix: np.ndarray) -> float:
    """Gates a weight that N / log2 N says for the N bits of entropy of ``matrix``, int [rows, inputs]."""
    _, counts = np.unique(matrix, return_counts=True)
    shares = counts / matrix.size
    bits = matrix.size * max(1e-9, -float((shares * np.log2(shares)).sum()))
    return bits / math.log2(max(4.0, bits)) / matrix.size


def _combinational(style: str, matrix: IntegerMatrix, library: Library, sources: list[Path], top: str,
                   seconds: float) -> Figures:  # fmt: skip
    """A whole product in one cycle, registers only where the source has them."""
    weights = np.asarray(matrix.weights)
    core = synthesize(sources, top, limits(library, timeout_s=1800))
    ge = core.ge / weights.size
    size = sum(path.stat().st_size for path in sources)
    rows, columns = weights.shape
    return Figures(
        style, rows, columns, 1, columns, 1, 1, round(ge, 3), round(ge, 3), 0.0, _um2(ge, library), round(ge, 1),
        round(ge / _lupanov(weights), 2), library.name, _rounded(core.abc_delay_ns), round(seconds, 3),
        round(size / weights.size, 2), rows, core.cpu_seconds,
    )  # fmt: skip


def _plain(matrix: IntegerMatrix, library: Library) -> Figures:
    """`W @ x` as a user would write it: one sum of products with constants a row."""
    start, weights = time.process_time(), np.asarray(matrix.weights)
    neurons, inputs = weights.shape
    width = int(127 * np.abs(weights).sum(axis=1).max()).bit_length() + 1
    rows = [
        f"    assign y[{width * (j + 1) - 1}:{width * j}] = "
        + " + ".join(f"({width}'sd0 + {'-' if w < 0 else ''}{width}'sd{abs(w)} * x{i})" for i, w in enumerate(row) if w)
        + ";"
        for j, row in enumerate(weights.tolist())
    ]
    ports = ", ".join(f"input wire signed [7:0] x{i}" for i in range(inputs))
    text = f"module plain ({ports}, output wire [{neurons * width - 1}:0] y);\n" + "\n".join(rows) + "\nendmodule\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.v"
        path.write_text(text)
        return _combinational("plain", matrix, library, [path], "plain", time.process_time() - start)


def _da4ml(matrix: IntegerMatrix, library: Library) -> Figures:
    """The adder graph of da4ml (TRETS'25), with the pipeline registers of its own two stages."""
    try:
        from da4ml.cmvm import solve
        from da4ml.codegen import VerilogModel
    except ImportError as error:
        raise SynthesisError("da4ml is not installed; install the extra `bench`") from error
    start, weights = time.process_time(), np.asarray(matrix.weights)
    solution = solve(weights.T.astype(np.float32), qintervals=[(-128.0, 127.0, 1.0)] * weights.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        VerilogModel(solution, "peer", folder, print_latency=False).write()
        seconds = time.process_time() - start
        sources = sorted(path for path in Path(folder).rglob("*.v") if path.name != "lookup_table.v")
        return _combinational("da4ml", matrix, library, sources, "peer", seconds)


def arrays(
    sizes: list[tuple[int, int]], styles: str, library: Library, weights: Path | None, plot: Path | None
) -> list[Figures]:
    """What `measure` finds, and a picture of it. weights: folder of a quantized checkpoint; None: normal weights."""
    matrix = normal_matrix if weights is None else partial(stored_matrix, QuantizedCheckpoint(weights))
    chosen = [style.strip() for style in styles.split(",") if style.strip()]
    if unknown := set(chosen) - {style for style, _ in jobs_at(16, 64)}:
        raise UserError(f"--styles: {', '.join(sorted(unknown))} is unknown; leave it out for all styles")
    with progress_bar("synthesizing arrays", "arrays") as progress:
        found = measure(sizes, chosen, library, progress, matrix)
    if plot is not None:
        from flows.pictures.arrays import plot_arrays

        plot_arrays([asdict(figures) for figures in found], plot)
    return found


COLUMNS = {
    "style": "style", "neurons": "neurons", "inputs": "inputs", "cycles": "cycles", "GE": "ge_per_weight",
    "core": "core_ge_per_weight", "um2": "um2_per_weight", "GE x cycles": "ge_cycles", "x bound": "bound",
    "ns": "critical_path_ns", "s": "generate_s", "bytes": "verilog_bytes_per_weight",
}  # fmt: skip
"""Heads of the printed table, and the figures below them."""


def arrays_parts(found: list[Figures], library: str) -> Iterator[Part]:
    """A row an array."""
    values = ([getattr(figures, name) for name in COLUMNS.values()] for figures in found)
    rows = [["" if value is None else f"{value}" for value in row] for row in values]
    yield table(list(COLUMNS), rows, f"hardwired arrays, {FORMAT}, {library}", no_wrap=True)
