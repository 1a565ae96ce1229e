"""`hardloom bench tiles`: measure, fit, check."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flows.explore.fit import fit_tiles
from flows.explore.tiles import measure_tiles
from flows.progress import progress_bar
from gen.build import write_file

__all__ = ["tiles"]


def tiles(out: Path, liberty: Sequence[Path], as_json: bool) -> None:
    """Write the cost model to `out` and print what it makes of every tile."""
    with progress_bar("synthesizing tiles", "tiles") as progress:
        fitted = fit_tiles(measure_tiles(liberty, progress))
    write_file(out, (json.dumps(fitted, indent=1) + "\n").encode())
    if as_json:
        print(json.dumps(fitted, indent=1))
        return
    table = Table("inputs", "slices", "lanes", title=f"64-row tiles on {fitted['library']}, gates")
    for column in ("synthesized", "predicted", "error", ""):
        table.add_column(column, justify="right")
    for tile in fitted["tiles"]:
        gates = (f"{tile['array_ge']:,.0f}", f"{tile['predicted_ge']:,.0f}", f"{tile['error']:+.1%}")
        shape = (str(tile[name]) for name in ("inputs", "slices", "lanes"))
        table.add_row(*shape, *gates, "held out" if tile["held_out"] else "fitted")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"worst error {fitted['worst_error_fitted']:.1%} fitted, {fitted['worst_error_held_out']:.1%} held out"
    )
