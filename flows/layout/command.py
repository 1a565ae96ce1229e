"""`hardloom layout`: a tile of a build in metal, in a folder of files, and what it comes to."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.console.report import Check, Line, Part, facts, notice
from hardloom.flows.layout.cells import Cells, find_cells
from hardloom.flows.layout.figures import LayoutFigures, figures_of
from hardloom.flows.layout.gds import klayout, layout_of
from hardloom.flows.layout.netlist import placeable
from hardloom.flows.layout.tile import Drawn, Tile, draw, drawn_again
from hardloom.flows.synth.gate_level import build_plan
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import Modules
from hardloom.gen.arrays import ArrayPlan
from hardloom.gen.build.folder import Build
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_file, write_json
from hardloom.golden.folders import claimed

__all__ = ["Asked", "layout", "layout_parts", "said"]

KIND = "layout"


@dataclass(frozen=True)
class Asked:
    """tile: module of an array; cells: folder, None for the installed package; liberty: files of its timing; against:
    another build of the same geometry, whose tile is drawn on the same cells; utilisation: of cells over rows."""

    tile: str
    liberty: Sequence[Path]
    cells: Path | None = None
    against: Path | None = None
    utilisation: float | None = None


def layout(build: Path, out: Path, asked: Asked) -> Check:
    """Draw a tile into the folder `out`; passed where it has no open, short, spot or other function.

    Raises UserError where anything that is asked for or needed is not there.
    """
    wanted = [tile_of(path, asked.tile) for path in (build, asked.against) if path is not None]
    with claimed(out, KIND):
        klayout()
        cells, full = find_cells(asked.cells), read_library(asked.liberty)
        library = placeable(full, cells)
        try:
            found = list(drawn_tiles(wanted, out, library, full, cells, asked.utilisation))
        except SynthesisError as error:
            raise UserError(f"--tile: {error}") from None
        if len(found) == 2:
            from hardloom.flows.layout.picture import draw_difference

            titles = ["checkpoint A", "checkpoint B", "both: what differs is wires, nothing else"]
            draw_difference(found[0][1], found[1][1], out / "difference.png", titles)
    figures = [one for one, _ in found]
    for one, folder in zip(figures, folders(out, len(figures)), strict=True):
        write_json(folder / "layout.json", one.to_json_dict())
    shown: Any = figures[0] if len(figures) == 1 else figures
    return Check(shown, [part for one in figures for part in layout_parts(one)], all(one.is_clean for one in figures))


def tile_of(path: Path, name: str) -> tuple[Tile, ArrayPlan]:
    """A tile of a build, and its plan. Raises UserError where there is none of that name."""
    modules = Modules(Build(path))
    module = modules.named(name, "--tile", sorted(modules.arrays))
    plan = build_plan(modules.build, modules.arrays[module])
    files = {inner: modules.path(inner) for inner in modules.below(module)}
    return Tile(module, files, plan.style.prefabricated), plan


def folders(out: Path, count: int) -> list[Path]:
    """Where each tile's files go."""
    return [out] if count == 1 else [out / "a", out / "b"]


def drawn_tiles(
    wanted: Sequence[tuple[Tile, ArrayPlan]], out: Path, library: Library, full: Library, cells: Cells,
    utilisation: float | None,
) -> Iterator[tuple[LayoutFigures, Drawn]]:  # fmt: skip
    """Each tile drawn, checked and written, the second one on the cells of the first."""
    first: Drawn | None = None
    for (tile, plan), folder in zip(wanted, folders(out, len(wanted)), strict=True):
        begin = time.monotonic()
        if first is None:
            first = drawn = draw(tile, library, cells, utilisation, notice)
        else:
            drawn = drawn_again(first, tile, library, cells, notice)
        made = layout_of(drawn.def_text, cells, drawn.cells)
        notice("checking")
        spef = drawn.spef(cells)
        figures = figures_of(tile, plan, drawn, spef, made, full, cells, begin)
        write_files(drawn, spef, made, folder, figures)
        yield figures, drawn


def write_files(drawn: Drawn, spef: str, made: Any, folder: Path, figures: LayoutFigures) -> None:
    """DEF, GDS, Verilog, SPEF and the picture of a tile."""
    from hardloom.flows.layout.picture import draw_tile

    name = drawn.netlist.name
    folder.mkdir(exist_ok=True)
    write_file(folder / f"{name}.def", drawn.def_text)
    write_file(folder / f"{name}.v", drawn.verilog)
    write_file(folder / f"{name}.spef", spef)
    write_file(folder / f"{name}.gds", gds_bytes(made))
    wire = f"{figures.cells:,} cells, {figures.wirelength_um / 1000:.0f} mm of wire"
    title = f"{figures.style} {figures.neurons} x {figures.inputs}: {wire}"
    draw_tile(drawn, folder / f"{name}.png", title)


def gds_bytes(made: Any) -> bytes:
    """A KLayout layout as GDS, without the time."""
    options = klayout().SaveLayoutOptions()
    options.format, options.gds2_write_timestamps = "GDS2", False
    return made.write_bytes(options)


def layout_parts(found: LayoutFigures) -> list[Part]:
    """What a tile comes to."""
    proven = {True: "proven", False: "refuted", None: "not asked"}[found.equivalent]
    rows = {
        "cells, nets": f"{found.cells:,}, {found.nets:,}",
        "die, um": f"{found.die_um[0]:.0f} x {found.die_um[1]:.0f}, utilisation {found.utilisation:.2f}",
        "wire, um": f"{found.wirelength_um:,} routed, {found.pins_wirelength_um:,} as trees",
        "between cells, um": f"{found.placed_wirelength_um:,} placed, {found.predicted_wirelength_um:,} predicted",
        "vias": f"{found.vias:,}",
        "opens, shorts": f"{found.opens}, {found.shorts}",
        "spacing spots": " ".join([str(found.spacing), *(f"({kind}: {n})" for kind, n in found.spots.items())]),
        "left by the router": f"{found.conflicts} conflicts, {found.unreached} pins",
        "least period, ns": f"{said(found.period_wires_ns)} with wires, {said(found.period_ns)} without; "
        f"ABC's path {said(found.abc_ns)}",
        "worst hold slack, ns": said(found.hold_ns),
        "the same as the emitted text": proven,
        "seconds": f"{found.seconds:.0f}",
    }
    title = f"{found.style} {found.neurons} x {found.inputs}"
    return [Line(title), facts(rows.items()), Line("Sign-off design rules and LVS are not checked.")]


def said(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
