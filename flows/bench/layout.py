"""`hardloom bench layout`: tiles of normal weights in metal, and what the wire model said of them."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hardloom.flows.console.report import Part, notice, table
from hardloom.flows.layout.cells import find_cells
from hardloom.flows.layout.command import said
from hardloom.flows.layout.figures import LayoutFigures, figures_of
from hardloom.flows.layout.gds import klayout, layout_of
from hardloom.flows.layout.netlist import placeable
from hardloom.flows.layout.tile import Tile, draw
from hardloom.flows.synth.arrays import normal_matrix, plan_matrix, write
from hardloom.flows.synth.library.files import read_library
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError

__all__ = ["layout_rows_parts", "layouts"]

TILES = (("shared", 8, 64, 64), ("shared", 16, 64, 64), ("shared", 32, 64, 64), ("metal", 16, 64, 8))
"""Style, neurons, inputs, slices; eight lanes each."""
LANES = 8
COLUMNS = (
    *("tile", "cells", "nets", "util.", "predicted um", "placed", "all, trees", "routed", "opens", "shorts", "spots"),
    *("ns", "with wires", "s"),
)


def layouts(cells: Path | None, liberty: Sequence[Path]) -> list[LayoutFigures]:
    """Every tile of `TILES` in metal. Raises UserError where cells, a tool or a step fails."""
    klayout()
    folder, full = find_cells(cells), read_library(liberty)
    library, found = placeable(full, folder), []
    for style, neurons, inputs, slices in TILES:
        notice(f"{style} {neurons} x {inputs}")
        begin = time.monotonic()
        plan = plan_matrix(normal_matrix(neurons, inputs), style, slices, LANES)
        with tempfile.TemporaryDirectory() as where:
            tile = Tile(plan.name, write(plan, Path(where) / "tile"), plan.style.prefabricated)
            try:
                drawn = draw(tile, library, folder, None, lambda step: None)
                made = layout_of(drawn.def_text, folder, drawn.cells)
                found.append(figures_of(tile, plan, drawn, drawn.spef(folder), made, full, folder, begin))
            except SynthesisError as error:
                raise UserError(f"bench layout: {error}") from None
    return found


def layout_rows_parts(rows: Sequence[LayoutFigures]) -> list[Part]:
    """A line a tile."""
    lines = [
        (f"{one.style} {one.neurons} x {one.inputs}", f"{one.cells:,}", f"{one.nets:,}", f"{one.utilisation:.2f}",
         f"{one.predicted_wirelength_um:,}", f"{one.placed_wirelength_um:,}", f"{one.pins_wirelength_um:,}",
         f"{one.wirelength_um:,}", str(one.opens), str(one.shorts), str(one.spacing),
         said(one.period_ns), said(one.period_wires_ns), f"{one.seconds:.0f}")
        for one in rows
    ]  # fmt: skip
    return [table(COLUMNS, lines, "Tiles in metal, sky130_fd_sc_hd")]
