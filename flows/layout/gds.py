"""GDS of a tile from its DEF, LEF and the cells' GDS, by KLayout."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hardloom.flows.console.silence import silence
from hardloom.flows.layout.cells import Cells
from hardloom.flows.layout.technology import GDS
from hardloom.golden.errors import UserError

__all__ = ["klayout", "layout_of"]

OUTLINE = 235, 4
"""Layer and datatype of the die."""
CUT, METAL = "VIA", "NET,SPNET,VIA,PIN,LEFPIN"
"""What of the DEF goes to a layer."""


def klayout() -> Any:
    """The module `klayout.db`. Raises UserError where it is not installed."""
    try:
        import klayout.db
    except ImportError:
        raise UserError(
            "layout: needs Coloquinte and KLayout; install them with pip install 'hardloom[layout]'"
        ) from None
    return klayout.db


def layout_of(text: str, cells: Cells, used: Iterable[str]) -> Any:
    """A KLayout layout of a DEF's text, cells with all that their GDS has."""
    db, used = klayout(), sorted(set(used))
    options = db.LoadLayoutOptions()
    config = options.lefdef_config
    config.dbu = 0.001
    config.read_lef_with_def = config.produce_labels = config.produce_lef_labels = False
    config.lef_files = [str(cells.tech), *map(str, cells.files(used, "lef"))]
    config.macro_resolution_mode = 2
    config.macro_layout_files = list(map(str, cells.files(used, "gds")))
    layout = db.Layout()
    with tempfile.TemporaryDirectory() as folder:
        path, layers = Path(folder) / "tile.def", Path(folder) / "layers.map"
        path.write_text(text)
        layers.write_text(layer_map())
        config.map_file = str(layers)
        options.lefdef_config = config
        with silence():
            layout.read(str(path), options)
    return layout


def layer_map() -> str:
    """Which layer and datatype every kind of shape of a DEF gets."""
    lines = [f"{name} {CUT if name in ('mcon', 'via', 'via2', 'via3') else METAL} {layer} {datatype}"
             for name, (layer, datatype) in GDS.items()]  # fmt: skip
    return "\n".join([*lines, f"DIEAREA ALL {OUTLINE[0]} {OUTLINE[1]}", ""])
