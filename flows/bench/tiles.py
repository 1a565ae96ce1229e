"""`hardloom bench tiles`: measure, fit, check."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.design.cost.fit import fit_tiles
from hardloom.flows.design.cost.quantities import count_shape
from hardloom.flows.design.cost.shapes import STORED, ArrayShape, lines_of
from hardloom.flows.design.cost.tiles import measure_tiles
from hardloom.flows.design.estimate.choices import LANES, option_shapes
from hardloom.flows.design.estimate.emitted import why_not_emitted
from hardloom.flows.design.estimate.figures import described
from hardloom.flows.design.estimate.request import Request
from hardloom.gen.design.lanes import most_lanes
from hardloom.golden.checkpoints.presets import PRESETS, read_preset
from hardloom.golden.files import write_file, write_json

__all__ = ["published_shapes", "tiles", "tiles_parts"]

SHAPE = ("style", "rows", "inputs", "slices", "lanes", "bits")


def published_shapes() -> Iterator[ArrayShape]:
    """Every array that `hardloom estimate` prices for a published model."""
    for name in PRESETS:
        shape = described(name, read_preset(name), {}, Request())
        emitted = why_not_emitted(shape, "whole") is None
        for kind in shape.kinds():
            yield from option_shapes(kind)
            yield from option_shapes(kind, None, most_lanes(shape, LANES)) if emitted else ()


def tiles(out: Path, liberty: Sequence[Path]) -> dict[str, Any]:
    """Write the cost model to `out`, and beside it what it counts in the arrays of published models.

    Returns the contents of the cost model's file.
    """
    with progress_bar("synthesizing tiles", "tiles") as progress:
        fitted = fit_tiles(measure_tiles(liberty, progress=progress))
    write_json(out, fitted)
    counted = [(shape, count_shape(shape)) for shape in dict.fromkeys(published_shapes())]
    write_file(out.with_name(STORED.name), lines_of(counted))
    return fitted


def tiles_parts(fitted: dict[str, Any]) -> Iterator[Part]:
    """What the cost model makes of every tile, and its worst errors by style."""
    rows = []
    for tile in fitted["tiles"]:
        gates = (f"{tile['core_ge'] + tile['shell_ge']:,.0f}", f"{tile['predicted_ge']:,.0f}")
        how = (f"{tile['error']:+.1%}", "held out" if tile["held_out"] else "fitted")
        rows.append((*(str(tile[name]) for name in SHAPE), *gates, *how))
    columns = (*SHAPE, "synthesized", "predicted", "error", "")
    yield table(columns, rows, f"tiles on {fitted['library']}, gates", left=SHAPE)
    for style, laws in fitted["styles"].items():
        errors = f"{laws['worst_error_fitted']:.1%} fitted, {laws['worst_error_held_out']:.1%} held out"
        yield f"{style}: worst error {errors}"
