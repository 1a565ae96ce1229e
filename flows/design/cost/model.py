"""The cost model: gates and cycles of an array of any size, from its quantities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.design.cost.shapes import ArrayShape, Counted, Quantities, stored
from hardloom.golden.errors import UserError

__all__ = ["DEFAULT_FIT", "ArrayCost", "CostModel", "mixed"]

DEFAULT_FIT = Path(__file__).parent / "data" / "fit.json"


@dataclass(frozen=True)
class ArrayCost:
    """Of one array.

    Attributes
    ----------
    neurons_ge, shared_ge: gates (NAND2 = 1) of the neurons, and of shell and what neurons share, once an array.
    adding_ge: gates of the neurons that work in every step, which is all but those that merge wires.
    packet_cycles: clock cycles from one packet to the next, as in its plan.
    quantities: of the whole array.
    """

    neurons_ge: float
    shared_ge: float
    adding_ge: float
    packet_cycles: int
    quantities: Quantities


def mixed(costs: Sequence[tuple[float, ArrayCost]]) -> ArrayCost:
    """Of an array whose neurons are like those of several, in shares; what they have in common is the largest's."""
    largest = max((cost for _, cost in costs), key=lambda cost: cost.shared_ge)
    return ArrayCost(
        sum(share * cost.neurons_ge for share, cost in costs),
        largest.shared_ge,
        sum(share * cost.adding_ge for share, cost in costs),
        max(cost.packet_cycles for _, cost in costs),
        largest.quantities.mixed([(share, cost.quantities) for share, cost in costs]),
    )


@dataclass(frozen=True)
class CostModel:
    """Gates a unit of each quantity (`flows.design.cost.quantities`) by style, of neurons (`core`) and of the shell.

    formats: weight formats of the tiles that each style was fitted to and checked on.
    """

    library: str
    styles: dict[str, dict[str, Any]]
    formats: dict[str, frozenset[str]]

    def cost(self, shape: ArrayShape) -> ArrayCost:
        """What an array of a shape costs."""
        counted = quantities_of(shape)
        quantities = counted.quantities
        laws = self.styles[shape.style]
        gates = {name: law * quantities.core[name] for name, law in laws["core"].items()}
        common = sum(gates[name] for name in quantities.common)
        neurons = sum(gates.values()) - common
        shell = sum(law * quantities.shell[name] for name, law in laws["shell"].items())
        packet = max(shape.inputs // shape.lanes, counted.compute_cycles + -(-shape.rows // shape.lanes))
        return ArrayCost(neurons, common + shell, neurons - gates["merged_wires"], packet, quantities)

    @classmethod
    def read(cls, path: Path = DEFAULT_FIT) -> "CostModel":
        """From a file of `hardloom bench tiles`."""
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            styles = {style: dict(laws) for style, laws in held["styles"].items()}
            formats = {s: frozenset(tile["format"] for tile in held["tiles"] if tile["style"] == s) for s in styles}
            return cls(held["library"], styles, formats)
        except FileNotFoundError:
            raise UserError(f"{path}: the file does not exist; write it with `hardloom bench tiles -o FILE`") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: is no fit; write it again with `hardloom bench tiles -o FILE`") from None


def quantities_of(shape: ArrayShape) -> Counted:
    """As they are stored, or counted, for which an array is planned; that takes seconds at the first one."""
    if shape in stored():
        return stored()[shape]
    from hardloom.flows.design.cost.quantities import count_shape

    return count_shape(shape)
