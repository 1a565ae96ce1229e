"""Which array a kind of matrix takes: the smallest of all styles and slices that is as fast as it must be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from math import gcd

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cost.shapes import ArrayShape
from hardloom.flows.design.estimate.arrays import ArrayOption, UnitCost, default_model, options, tile_shapes, unit_cost
from hardloom.flows.design.estimate.wires import unit_um2
from hardloom.golden.shape import MatrixKind

__all__ = ["LANES", "TILE_ROWS", "Choice", "array_mm2", "busy", "choose", "option_shapes", "same_arrays"]

LANES = 64  # elements a beat of every stream
TILE_ROWS = 1024  # rows that drain through one set of lanes; a wider array is several tiles side by side


@dataclass(frozen=True)
class Choice:
    """A kind of matrix, the array option it takes, what a unit costs, and the cycles a position costs the busiest."""

    kind: MatrixKind
    option: ArrayOption
    cost: UnitCost
    cycles_per_position: float

    @property
    def gates_per_weight(self) -> float:
        """By the cost model."""
        return self.cost.gates / self.kind.weights_each


def busy(kind: MatrixKind, a: Assumptions) -> float:
    """Share of the tokens that meets the busiest array of a kind."""
    return min(1.0, kind.share * a["expert_imbalance"]) if kind.share < 1 else 1.0


def choose(
    kinds: Iterable[MatrixKind],
    budget: float,
    a: Assumptions,
    styles: Iterable[str],
    lanes: int = LANES,
    drained: Callable[[MatrixKind], int] = lambda kind: TILE_ROWS,
) -> tuple[Choice, ...]:
    """For every kind the smallest option whose busiest array needs at most `budget` cycles a position.

    Where none is as fast, the fastest. drained: rows of a kind that drain through one set of lanes, at most.
    """
    made = []
    for kind in kinds:
        share = busy(kind, a)
        costs = priced(kind, tuple(styles), lanes, drained(kind))
        found = [Choice(kind, option, cost, cost.packet_cycles * share) for option, cost in costs]
        quick = [choice for choice in found if choice.cycles_per_position <= budget]
        made.append(
            min(quick, key=lambda c: array_mm2(c, a))
            if quick
            else min(found, key=lambda c: (c.cycles_per_position, array_mm2(c, a)))
        )
    return tuple(made)


@cache
def priced(
    kind: MatrixKind, styles: tuple[str, ...], most_lanes: int, tile_rows: int
) -> list[tuple[ArrayOption, UnitCost]]:
    """All options for a kind of matrix, and what a unit of each costs."""
    model, lanes = default_model(), gcd(most_lanes, kind.inputs)
    return [
        (option, unit_cost(model, kind, option, lanes, tile_rows)) for option in options(model, kind, lanes, styles)
    ]


def option_shapes(kind: MatrixKind, tile_rows: int | None = TILE_ROWS, most_lanes: int = LANES) -> list[ArrayShape]:
    """The arrays whose costs `choose` asks for, in every style."""
    lanes = gcd(most_lanes, kind.inputs)
    made = options(default_model(), kind, lanes)
    return [shape for option in made for shape in tile_shapes(kind, option, lanes, tile_rows or kind.rows)]


def array_mm2(choice: Choice, a: Assumptions, shells: int = 1) -> float:
    """mm2 of all arrays of a kind, each with so many shells: one a tile."""
    return choice.kind.count * choice.kind.layers * unit_um2(choice.option, choice.cost, shells, a) * 1e-6


def same_arrays(choices: Iterable[Choice], a: Assumptions) -> tuple[Choice, ...]:
    """The same options under other assumptions."""
    return tuple(Choice(c.kind, c.option, c.cost, c.cost.packet_cycles * busy(c.kind, a)) for c in choices)
