"""The cost model: gates and cycles of an array of any size, from its quantities."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.design.cost.shapes import ArrayShape, Counted, Quantities, stored
from golden.errors import UserError

__all__ = ["DEFAULT_FIT", "ArrayCost", "CostModel"]

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


@dataclass(frozen=True)
class CostModel:
    """Gates a unit of each quantity (`flows.design.cost.quantities`) by style, of neurons (`core`) and of the shell."""

    library: str
    styles: dict[str, dict[str, Any]]

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
            return cls(held["library"], {style: dict(laws) for style, laws in held["styles"].items()})
        except FileNotFoundError:
            raise UserError(f"{path}: the file does not exist; write it with `hardloom bench tiles -o FILE`") from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(f"{path}: is no fit; write it again with `hardloom bench tiles -o FILE`") from None


def quantities_of(shape: ArrayShape) -> Counted:
    """As they are stored, or counted, for which an array is planned; that takes seconds at the first one."""
    if shape in stored():
        return stored()[shape]
    from flows.design.cost.quantities import count_shape

    return count_shape(shape)
