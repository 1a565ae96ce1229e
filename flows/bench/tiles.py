"""`hardloom bench tiles`: measure, fit, check."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from flows.design.cost.fit import fit_tiles
from flows.design.cost.tiles import measure_tiles
from golden.files import write_json

__all__ = ["tiles"]

SHAPE = ("style", "rows", "inputs", "slices", "lanes")


def tiles(out: Path, liberty: Sequence[Path], as_json: bool) -> None:
    """Write the cost model to `out` and print what it makes of every tile."""
    with progress_bar("synthesizing tiles", "tiles") as progress:
        fitted = fit_tiles(measure_tiles(liberty, progress=progress))
    write_json(out, fitted)
    if as_json:
        print(json.dumps(fitted, indent=1))
        return
    table = Table(*SHAPE, title=f"tiles on {fitted['library']}, gates")
    for column in ("synthesized", "predicted", "error", ""):
        table.add_column(column, justify="right")
    for tile in fitted["tiles"]:
        gates = (f"{tile['core_ge'] + tile['shell_ge']:,.0f}", f"{tile['predicted_ge']:,.0f}")
        shape = (str(tile[name]) for name in SHAPE)
        table.add_row(*shape, *gates, f"{tile['error']:+.1%}", "held out" if tile["held_out"] else "fitted")
    console = Console(highlight=False)
    console.print(table)
    for style, laws in fitted["styles"].items():
        errors = f"{laws['worst_error_fitted']:.1%} fitted, {laws['worst_error_held_out']:.1%} held out"
        console.print(f"{style}: worst error {errors}")
