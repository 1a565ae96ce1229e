"""`hardloom bench tiles`: measure, fit, check."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.console.progress import progress_bar
from flows.console.report import Part, table
from flows.design.cost.fit import fit_tiles
from flows.design.cost.tiles import measure_tiles
from golden.files import write_json

__all__ = ["tiles", "tiles_parts"]

SHAPE = ("style", "rows", "inputs", "slices", "lanes")


def tiles(out: Path, liberty: Sequence[Path]) -> dict[str, Any]:
    """Write the cost model to `out`: the contents of the file."""
    with progress_bar("synthesizing tiles", "tiles") as progress:
        fitted = fit_tiles(measure_tiles(liberty, progress=progress))
    write_json(out, fitted)
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
