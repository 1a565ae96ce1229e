"""Area of an array: of its cells or, where tracks are scarcer, of its wires."""

from math import sqrt

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cost.wires import Wires, wires_of
from hardloom.flows.design.estimate.arrays import ArrayOption, UnitCost

__all__ = ["gate_um2", "gates_scale", "track_share", "unit_um2"]


def gates_scale(style: str, a: Assumptions) -> float:
    """Gates of an array of trained weights, mapped for the clock, over those of the cost model."""
    return a[f"{style}_timed"] * a[f"{style}_trained"]


def gate_um2(style: str, a: Assumptions) -> float:
    """um2 of die that a gate of an array takes: of a real library's cells, and what stays empty between them."""
    return a["gate_um2"] * a[f"{style}_library"] / a[f"{style}_utilisation"]


def wires(option: ArrayOption, cost: UnitCost, a: Assumptions) -> Wires:
    """Of a tile of an array."""
    tile = cost.tile
    gates = (tile.neurons_ge + tile.shared_ge) * gates_scale(option.style, a)
    return wires_of(option.style, option.slices, tile.quantities, gates)


def root_um(option: ArrayOption, cost: UnitCost, a: Assumptions) -> float:
    """Root of the area of a tile, in um, whose tracks its wires fill as far as `track_share` allows."""
    length = a["wire_length_scale"] * wires(option, cost, a).length
    return length / (a["tracks_per_um"] * a["track_share"])


def unit_um2(option: ArrayOption, cost: UnitCost, shells: int, a: Assumptions) -> float:
    """um2 of an array unit with so many shells: of cells or of wires, whichever take more."""
    cells = cost.gates_with(shells) * gates_scale(option.style, a) * gate_um2(option.style, a)
    return max(cells, cost.tiles * root_um(option, cost, a) ** 2)


def track_share(option: ArrayOption, cost: UnitCost, a: Assumptions) -> float:
    """Tracks that an array's wires take, over all that are there."""
    area = unit_um2(option, cost, 1, a) / cost.tiles
    return a["wire_length_scale"] * wires(option, cost, a).length / (a["tracks_per_um"] * sqrt(area))
