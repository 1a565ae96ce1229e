"""From a plan to Verilog-2005 files: prefabricated text (templates) apart from connections (vectorised text)."""

from collections.abc import Iterator
from typing import NamedTuple

from hardloom.gen.arrays.style import ArrayPlan

__all__ = ["Emission", "emit", "emit_connections", "emit_prefab"]


class Emission(NamedTuple):
    """File names to contents. Two checkpoints of one geometry differ in `connections` only."""

    prefab: dict[str, str]
    connections: dict[str, bytes]


def emit_prefab(plan: ArrayPlan) -> dict[str, str]:
    """Files that do not depend on the weights: names to texts."""
    return {f"{prefab.module}.v": prefab.text for prefab in plan.style.prefab(plan)}


def emit_connections(plan: ArrayPlan) -> Iterator[bytes]:
    """The file `<name>.v` that holds the weights, piece by piece: memory for a few rows at a time."""
    return plan.style.connections(plan)


def emit(plan: ArrayPlan) -> Emission:
    """All files of an array unit: one module a file, named after it."""
    return Emission(emit_prefab(plan), {f"{plan.name}.v": b"".join(emit_connections(plan))})
