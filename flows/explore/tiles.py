"""Array tiles: their prefabricated parts synthesized, to fit the cost model to and to check it against."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flows.synth.liberty import Library, read_library
from flows.synth.yosys import synthesize
from gen.arrays import ArrayPlan, emit, plan_array
from golden.formats import quantize

__all__ = ["FIT", "HELD_OUT", "Tile", "measure_tiles", "plan_tile"]


@dataclass(frozen=True)
class Tile:
    """An array of style `metal`: one bank of [rows, inputs] normal weights, fed in `slices`, `lanes` a beat."""

    inputs: int
    slices: int
    lanes: int
    rows: int = 64
    format: str = "mxfp4"


FIT = tuple(
    Tile(inputs, slices, lanes)
    for inputs, slices, lanes in (
        *((64, 1, 8), (64, 4, 2), (64, 8, 16), (128, 1, 4), (128, 2, 32), (128, 8, 8), (128, 16, 4), (256, 2, 8)),
        *((256, 4, 16), (256, 16, 4), (256, 32, 32), (512, 8, 16), (512, 32, 8), (512, 64, 4)),
    )
)
"""Tiles that the model is fitted to."""

HELD_OUT = tuple(
    Tile(inputs, slices, lanes)
    for inputs, slices, lanes in ((64, 2, 4), (128, 4, 16), (256, 8, 8), (256, 1, 4), (512, 16, 32), (512, 4, 8))
)
"""Tiles that it is checked against."""


def plan_tile(tile: Tile, seed: int = 0) -> ArrayPlan:
    """A tile with random weights; its prefabricated text does not depend on them."""
    values = np.random.default_rng(seed).standard_normal((2, tile.inputs))
    matrix = quantize(torch.from_numpy(values).float(), tile.format).integers()
    return plan_array("tile", [matrix], min(tile.lanes, tile.inputs), tile.slices, "metal", tile.format)


def measure(tile: Tile, library: Library) -> dict[str, Any]:
    """Gates of a tile's neuron cell and of its shell (load buffer, serial inputs, control), and CPU seconds."""
    plan = plan_tile(tile)
    shell, neuron, *others = plan.prefab_modules
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, text in emit(plan).prefab.items():
            files[name.removesuffix(".v")] = Path(folder) / name
            files[name.removesuffix(".v")].write_text(text)
        cell = synthesize([files[neuron]], neuron, library)
        rest = synthesize([files[module] for module in (shell, *others)], shell, library)
    seconds = cell.cpu_seconds + rest.cpu_seconds
    return {**asdict(tile), "neuron_ge": cell.ge, "shell_ge": rest.ge, "cpu_seconds": round(seconds, 2)}


def measure_tiles(
    liberty: Sequence[Path] = (), progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """All tiles on the embedded library or on `liberty`: what `fit.json` holds under `measured`."""
    library, tiles, measured = read_library(liberty), [*FIT, *HELD_OUT], []
    for number, tile in enumerate(tiles, 1):
        measured.append(measure(tile, library) | {"held_out": tile in HELD_OUT})
        progress(number, len(tiles))
    return {"library": library.name, "measured": measured}
