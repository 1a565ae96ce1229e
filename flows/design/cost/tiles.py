"""Array tiles: their parts synthesized, to fit the cost model to and to check it against."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.design.cost.quantities import count
from hardloom.flows.synth.arrays import (
    SHELL,
    Setup,
    normal_matrix,
    synthesize_cell,
    synthesize_counted,
    synthesize_flat,
)
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.library import Library
from hardloom.gen.arrays.styles import STYLES

__all__ = ["TILES", "Tile", "measure", "measure_tiles"]


@dataclass(frozen=True)
class Tile:
    """An array of one bank of [rows, inputs] normal weights; held_out: the model is checked against it only; bits: of
    activations; counted: too large to be flattened, so its modules and planes are synthesized by themselves and
    counted."""

    style: str
    rows: int
    inputs: int
    slices: int
    lanes: int
    held_out: bool = False
    format: str = "mxfp4"
    bits: int = 8
    counted: bool = False


def tiles(
    style: str, *sizes: tuple[int, int, int, int], held_out: bool = False, format: str = "mxfp4", bits: int = 8
) -> tuple[Tile, ...]:
    """Tiles of a style from rows, inputs, slices and lanes, for activations of so many bits."""
    return tuple(Tile(style, *size, held_out, format, bits) for size in sizes)


def counted(*sizes: tuple[int, int, int, int, int], held_out: bool = False, format: str = "mxfp4") -> tuple[Tile, ...]:
    """Arrays of style `shared` of the size that published models have, from rows, inputs, slices, lanes and bits."""
    return tuple(Tile("shared", *size[:4], held_out, format, size[4], counted=True) for size in sizes)


WIDE = ("mxfp6_e2m3", "int8")
OTHERS = ("mxfp6_e3m2", "int4", "ternary")
"""Formats besides mxfp4: the laws are fitted to tiles of the wide ones too, and checked on all."""


def cells(style: str) -> tuple[Tile, ...]:
    """Tiles of a prefabricated style: rings of 1 to 16 neurons."""
    return (
        *tiles(style, (64, 64, 1, 8), (64, 64, 4, 2), (64, 128, 2, 32), (64, 128, 8, 8), (64, 128, 16, 64)),
        *tiles(style, (64, 128, 16, 4), (64, 256, 2, 64), (64, 256, 4, 16), (64, 256, 16, 4), (64, 256, 32, 16)),
        *tiles(style, (64, 64, 2, 4), (64, 128, 4, 16), (64, 256, 1, 4), (64, 256, 8, 32), held_out=True),
        *(tile for format in WIDE for tile in tiles(style, (64, 256, 8, 32), format=format)),
        *(tile for format in OTHERS for tile in tiles(style, (64, 256, 8, 32), held_out=True, format=format)),
    )


def other_bits(*sizes: tuple[str, int, int, int, int]) -> tuple[Tile, ...]:
    """Tiles for activations of other than 8 bits, which the laws are checked on."""
    return tuple(Tile(*size, held_out=True, bits=bits) for size in sizes for bits in (6, 10, 12))


TILES = (
    *cells("metal"),
    *tiles("metal", (64, 512, 8, 16), (64, 512, 16, 64), (64, 512, 64, 4)),
    *tiles("metal", (64, 512, 16, 4), (64, 512, 32, 8), held_out=True),
    *(tile for format in WIDE for tile in tiles("metal", (64, 512, 16, 4), format=format)),
    *(tile for format in WIDE for tile in tiles("metal", (64, 512, 32, 8), held_out=True, format=format)),
    *cells("packed"),
    *tiles("rom", (8, 128, 128, 2), (16, 128, 128, 4), (16, 128, 64, 8), (16, 256, 256, 4), (32, 256, 64, 16)),
    *tiles("rom", (16, 512, 512, 4), (16, 512, 256, 8), (8, 1024, 1024, 2), (16, 2048, 2048, 4)),
    *tiles("rom", (16, 256, 128, 8), (16, 512, 512, 8), (32, 512, 128, 16), (16, 1024, 1024, 4), held_out=True),
    *tiles("rom", (64, 256, 256, 8), held_out=True),
    *tiles("rom", (16, 256, 256, 4), held_out=True, format="int4"),
    *tiles("shared", (32, 128, 128, 8), (64, 128, 128, 8), (64, 256, 256, 8), (64, 256, 128, 16), (128, 256, 256, 8)),
    *tiles("shared", (64, 512, 512, 4), (64, 1024, 1024, 8), (64, 2048, 2048, 8)),
    *tiles("shared", (64, 256, 256, 8), (64, 512, 256, 16), format="mxfp6_e2m3"),
    *tiles("shared", (64, 512, 512, 8), held_out=True, format="mxfp6_e2m3"),
    *tiles("shared", (64, 256, 256, 8), held_out=True, format="mxfp6_e3m2"),
    *tiles("shared", (64, 256, 256, 8), held_out=True, format="int4"),
    *tiles("shared", (128, 128, 128, 16), (64, 512, 512, 8), (64, 512, 256, 16), (128, 512, 512, 8), held_out=True),
    *tiles("shared", (128, 256, 32, 32), held_out=True),
    *counted((2048, 2048, 1024, 8, 8), (2048, 2048, 1024, 8, 10)),
    *counted((2048, 1024, 1024, 8, 10), (1024, 2048, 512, 64, 10), (1024, 2048, 2048, 64, 10), held_out=True),
    *counted((1024, 1024, 128, 64, 10), held_out=True),
    *counted((1024, 2048, 1024, 64, 10), held_out=True, format="mxfp6_e2m3"),
    *other_bits(("metal", 64, 64, 4, 2), ("packed", 64, 256, 4, 16), ("shared", 64, 128, 128, 8)),
    *other_bits(("rom", 16, 128, 128, 4)),
)


def measure(tile: Tile, library: Library) -> dict[str, Any]:
    """Gates of a tile's neurons and of its shell, what they are linear in, and CPU seconds."""
    matrix = normal_matrix(tile.rows, tile.inputs, tile.format)
    how = library, Setup(tile.style, tile.slices, tile.lanes, tile.format, tile.bits)
    if tile.counted:
        parts = synthesize_counted(matrix, *how)
    else:
        whole = STYLES[tile.style].prefabricated
        parts = synthesize_cell(matrix, *how) if whole else synthesize_flat(matrix, *how, apart=SHELL)
    quantities = count(parts.plan)
    return {
        **asdict(tile),
        "core": quantities.core,
        "shell": quantities.shell,
        "core_ge": round(parts.core_ge, 3),
        "shell_ge": parts.shell.ge,
        "cpu_seconds": round(parts.core.cpu_seconds + parts.shell.cpu_seconds, 2),
    }


def measure_tiles(
    liberty: Sequence[Path] = (),
    chosen: Sequence[Tile] = TILES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Tiles on the embedded library or on `liberty`, one after the other: what `fit_tiles` takes."""
    library, measured = read_library(liberty), []
    for number, tile in enumerate(chosen, 1):
        measured.append(measure(tile, library))
        progress(number, len(chosen))
    return {"library": library.name, "tiles": measured}
