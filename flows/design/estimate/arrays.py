"""Hardwired arrays as options: style and slices for a kind of matrix, priced by the cost model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from math import gcd

from hardloom.flows.assumptions.assumptions import Assumption, parse, read_data
from hardloom.flows.design.cost.model import ArrayCost, CostModel, mixed
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MatrixKind

__all__ = [
    "FORMAT",
    "PRICED_STYLES",
    "ArrayOption",
    "UnitCost",
    "addressed",
    "array_assumptions",
    "default_model",
    "metal_only",
    "options",
    "tile_shapes",
    "unit_cost",
]

FORMAT = "mxfp4"  # of a kind that names none
FEWEST_A_SLICE = 8  # inputs, in the tiles that the cost model is fitted to
MOST_SLICES = 256
MOST_INPUTS_A_CYCLE = 8  # of an address-serial style, in those tiles
PRICED_STYLES = tuple(read_data("arrays"))
"""Styles that the cost model knows."""


@dataclass(frozen=True)
class ArrayOption:
    """A style with its slices."""

    style: str
    slices: int


def metal_only(style: str) -> bool:
    """Whether two weight sets in a style differ in metal layers only, so that dies can share the other masks."""
    return read_data("arrays")[style]["metal_only"]


def addressed(style: str) -> bool:
    """Whether inputs are taken by address: `gen.arrays.style.Style.addressed`, without importing the generator."""
    return read_data("arrays")[style]["addressed"]


@dataclass(frozen=True)
class UnitCost:
    """Of one array unit: gates; packet_cycles from one packet to the next; array: of what drains side by side."""

    gates: float
    packet_cycles: float
    tile: ArrayCost
    tiles: float

    def gates_with(self, shells: int) -> float:
        """With so many shells in place of one: each tile of the emitted head has its own."""
        return self.gates + (shells - 1) * self.tile.shared_ge


def options(
    model: CostModel, kind: MatrixKind, lanes: int, styles: Iterable[str] = PRICED_STYLES
) -> Iterator[ArrayOption]:
    """Options for a kind of matrix, powers of two of slices or of inputs a cycle, within what the cost model knows.

    Raises UserError for a style that it does not know, and where it knows none of them in the kind's formats.
    """
    styles = tuple(styles)
    if strange := [style for style in styles if style not in PRICED_STYLES]:
        raise UserError(
            f"--styles {strange[0]}: no array of this style has been measured; choose from {', '.join(PRICED_STYLES)}"
        )
    wanted = {format for format, _ in formats_of(kind)}
    measured = [style for style in PRICED_STYLES if wanted <= model.formats.get(style, frozenset())]
    if not set(measured) & set(styles):
        raise UserError(
            f"--styles {','.join(styles)}: no such array has been measured in {' and '.join(sorted(wanted))}, the "
            f"weight format of {kind.kind}; choose from {', '.join(measured)}"
        )
    for style in (style for style in styles if style in measured):
        if addressed(style):
            wide = powers_of_two(gcd(lanes, kind.inputs, MOST_INPUTS_A_CYCLE))
            yield from (ArrayOption(style, kind.inputs // count) for count in wide)
        else:
            most = min(MOST_SLICES, max(1, kind.inputs // FEWEST_A_SLICE))
            yield from (ArrayOption(style, count) for count in powers_of_two(kind.inputs) if count <= most)


def powers_of_two(number: int) -> list[int]:
    """Those that divide a number."""
    return [1 << k for k in range(number.bit_length()) if number % (1 << k) == 0]


@cache
def default_model() -> CostModel:
    return CostModel.read()


def formats_of(kind: MatrixKind) -> tuple[tuple[str, float], ...]:
    """Weight formats of a kind and their shares; `FORMAT` where the model names none."""
    return kind.formats or ((FORMAT, 1.0),)


def tile_shapes(kind: MatrixKind, option: ArrayOption, lanes: int, tile_rows: int) -> list[ArrayShape]:
    """What drains through one set of lanes, at most `tile_rows` rows, in each of the kind's formats."""
    rows = min(kind.rows, tile_rows)
    return [
        ArrayShape(option.style, rows, kind.inputs, option.slices, lanes, kind.banks, format, kind.bits)
        for format, _ in formats_of(kind)
    ]


def unit_cost(model: CostModel, kind: MatrixKind, option: ArrayOption, lanes: int, tile_rows: int) -> UnitCost:
    """What an array unit of a kind costs, of which `tile_rows` rows at most drain through one set of lanes."""
    shapes = tile_shapes(kind, option, lanes, tile_rows)
    shares = (share for _, share in formats_of(kind))
    tile = mixed([(share, model.cost(shape)) for share, shape in zip(shares, shapes, strict=True)])
    tiles = kind.rows / shapes[0].rows
    return UnitCost(tiles * tile.neurons_ge + tile.shared_ge, tile.packet_cycles, tile, tiles)


def array_assumptions() -> dict[str, Assumption]:
    """`metal_library` and so on: what is between the gates of the cost model and um2, by style, with their ranges."""
    return {
        entry.name: entry
        for style, data in read_data("arrays").items()
        for entry in parse({f"{style}_{name}": fields for name, fields in data["assumptions"].items()}).values()
    }
