"""`hardloom bench arrays`: the same matrices in every style, by da4ml and as plain Verilog, through one synthesis.

A row of figures is one matrix in one style. Where neurons are alike, a sample of them is synthesized and counts for
all; the shell (input buffer, control, what all neurons share) is synthesized whole, for the whole array.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from hardloom.flows.bench.array_figures import Figures, figures_of
from hardloom.flows.bench.array_peers import da4ml, plain
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, notice, table
from hardloom.flows.synth.arrays import (
    FORMAT,
    Setup,
    normal_matrix,
    plan_matrix,
    stored_matrix,
    synthesize_cell,
    synthesize_flat,
)
from hardloom.flows.synth.library.library import Library
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.by_kind import kinds_of
from hardloom.golden.quantization.format_names import format_name
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["arrays", "arrays_parts", "jobs_at", "parse_sizes"]

PEER_INPUTS = 256  # the largest that peers solve in minutes
LANES = 8
SLICES = (1, 4, 16, 64)
FLATTENED = 16  # slices from which on a cell of that many neurons is too large to be flattened
INPUTS_A_CYCLE = (1, 2, 4, 8)  # of an address-serial style; a beat has as many as the last
PLACED = ("metal", "packed", "rom", "shared")
MOST_PLACED = 128 * 512  # weights of an array that is placed in minutes
SAMPLE = 32  # neurons of a shared-logic style that are synthesized for all


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
    weights: Callable[[int, int, str], IntegerMatrix] = normal_matrix,
    format: str = FORMAT,
    place: bool = False,
) -> list[Figures]:
    """Figures of `styles` (all, if none is named) at all sizes; a style that takes too long at a size has none, nor one
    that the format does not go into.

    weights: the matrix for so many neurons and inputs, in a format. place: arrays of the generator's styles whole, too.
    """
    jobs = [(size, job) for size in sizes for style, job in jobs_at(*size, format) if not styles or style in styles]
    matrices = {size: weights(*size, format) for size in sizes}
    found = []
    for done, ((neurons, inputs), job) in enumerate(jobs):
        matrix = matrices[neurons, inputs]
        try:
            figures = job(matrix, library)
            found.append(with_placement(figures, matrix, library, format) if place else figures)
        except (SynthesisError, UserError) as error:
            notice(f"{neurons}x{inputs}: {error}")
        progress(done + 1, len(jobs))
    return found


def jobs_at(
    neurons: int, inputs: int, format: str = FORMAT
) -> Iterator[tuple[str, Callable[[IntegerMatrix, Library], Figures]]]:
    """Styles, and what measures them at a size."""
    slices = [t for t in SLICES if inputs // t >= 16]
    prefabricated = [style.name for style in STYLES.values() if style.prefabricated]
    for style in prefabricated:
        for t in slices:
            yield style, partial(homogeneous, style=style, slices=t, format=format)
    for style in prefabricated:
        for t in (t for t in slices if t <= FLATTENED):
            yield f"{style} flat", partial(flat, style=style, slices=t, format=format, name=f"{style} flat", sample=8)
    for style in (style.name for style in STYLES.values() if style.addressed):
        for wide in INPUTS_A_CYCLE:
            yield style, partial(flat, style=style, slices=inputs // wide, format=format, name=style, sample=SAMPLE)
    if inputs <= PEER_INPUTS:
        for style in (style.name for style in STYLES.values() if style.baseline):
            yield style, partial(flat, style=style, slices=1, format=format, name=style, sample=8)
        yield "da4ml", da4ml
        yield "plain", plain


def with_placement(figures: Figures, matrix: IntegerMatrix, library: Library, format: str) -> Figures:
    """Figures with those of the whole array, placed; as they are where it is too large, or made by somebody else."""
    if figures.style not in PLACED or figures.neurons * figures.inputs > MOST_PLACED:
        return figures
    from hardloom.flows.bench.placement import place_array

    found = place_array(plan_matrix(matrix, figures.style, figures.slices, LANES, format), library)
    shares = round(found.track_share, 3), round(found.predicted_share, 3)
    return replace(figures, track_share=shares[0], predicted_track_share=shares[1])


def homogeneous(matrix: IntegerMatrix, library: Library, style: str, slices: int, format: str) -> Figures:
    return figures_of(synthesize_cell(matrix, library, Setup(style, slices, LANES, format)), style, library)


def flat(
    matrix: IntegerMatrix, library: Library, style: str, slices: int, format: str, name: str, sample: int
) -> Figures:
    return figures_of(
        synthesize_flat(matrix, library, Setup(style, slices, LANES, format), sample=sample), name, library
    )


def rows_of(weights: Path | None, kind: str | None) -> tuple[Callable[[int, int, str], IntegerMatrix], str]:
    """The matrices of `measure` and whose they are: of the quantized checkpoint in folder `weights`, of one `kind`
    where one is named; None: normal weights. Raises UserError for a kind that it does not have."""
    if weights is None:
        if kind is not None:
            raise UserError(f"--kind {kind:.40}: is of a checkpoint; name its folder with --weights")
        return normal_matrix, "normal"
    checkpoint = QuantizedCheckpoint(weights)
    if kind is not None and kind not in (kinds := kinds_of(checkpoint.model)):
        raise UserError(f"--kind: {kind!r:.40} is no kind of matrix of {weights}; choose from {', '.join(kinds)}")
    return partial(stored_matrix, checkpoint, kind=kind), kind or "stored"


def arrays(
    sizes: list[tuple[int, int]],
    styles: str,
    library: Library,
    weights: Path | None,
    kind: str | None,
    format: str,
    plot: Path | None,
    place: bool = False,
) -> list[Figures]:
    """What `measure` finds, and a picture of it. weights, kind: as of `rows_of`."""
    format = format_name(format)
    matrix, rows = rows_of(weights, kind)
    chosen = [style.strip() for style in styles.split(",") if style.strip()]
    if unknown := set(chosen) - {style for style, _ in jobs_at(16, 64)}:
        raise UserError(f"--styles: {', '.join(sorted(unknown))} is unknown; leave it out for all styles")
    with progress_bar("synthesizing arrays", "arrays") as progress:
        found = [replace(one, rows=rows) for one in measure(sizes, chosen, library, progress, matrix, format, place)]
    if plot is not None:
        from hardloom.flows.pictures.arrays import plot_arrays

        plot_arrays([asdict(figures) for figures in found], plot)
    return found


COLUMNS = {
    "rows": "rows", "style": "style", "neurons": "neurons", "inputs": "inputs", "cycles": "cycles",
    "GE": "ge_per_weight", "core": "core_ge_per_weight", "um2": "um2_per_weight", "GE x cycles": "ge_cycles",
    "x bound": "bound", "ns": "critical_path_ns", "s": "generate_s", "bytes": "verilog_bytes_per_weight",
}  # fmt: skip
"""Heads of the printed table, and the figures below them."""
PLACED_COLUMNS = {"tracks": "track_share", "predicted": "predicted_track_share"}
"""The same where arrays were placed."""


def arrays_parts(found: list[Figures], library: str, format: str) -> Iterator[Part]:
    """A row an array."""
    columns = COLUMNS | (PLACED_COLUMNS if any(figures.track_share is not None for figures in found) else {})
    values = ([getattr(figures, name) for name in columns.values()] for figures in found)
    rows = [["" if value is None else f"{value}" for value in row] for row in values]
    yield table(list(columns), rows, f"hardwired arrays, {format}, {library}", no_wrap=True)
