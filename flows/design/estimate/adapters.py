"""What LoRA adapters beside q, k, v and o cost: memories that hold them, multipliers that keep their pace."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.area import sram_mm2, unit_gate_mm2
from hardloom.golden.shape import ModelShape

if TYPE_CHECKING:
    from hardloom.gen.design.adapters import AdapterSizes

__all__ = ["AdapterPrice", "adapter_price"]


@dataclass(frozen=True)
class AdapterPrice:
    """Of all layers. Projected; nothing was drawn.

    bits: of A and B. products: a position. multipliers: that are there. mm2: memories and gates. fj: a position.
    """

    rank: int
    bits: int
    products: int
    multipliers: int
    mm2: float
    fj: float


def adapter_price(
    shape: ModelShape, rank: int, cycles: float | None, lanes: int, a: Assumptions
) -> AdapterPrice | None:
    """Of adapters of a rank; None where it is 0.

    cycles: in which the projected chip takes a position, and an adapter with it; None: as emitted, `lanes` elements of
    a packet a cycle.
    """
    if not rank:
        return None
    from hardloom.gen.design.adapters import ELEMENT, layer_adapters  # the generator takes seconds to import

    arrays = [sizes for layer in shape.layers for sizes in layer_adapters(shape, layer, lanes, rank).values()]
    products = sum(one.banks * rank * (one.inputs + one.rows) for one in arrays)
    each = [(one.banks, lanes if cycles is None else lanes_of(one, cycles)) for one in arrays]
    at_once = sum(banks * count for banks, count in each)
    gates = at_once * (2 * rank * a["adapter_gates_per_multiplier"] + a["adapter_gates_per_lane"])
    gates += sum(one.banks for one in arrays) * a["adapter_gates"]
    bits = products * ELEMENT
    mm2 = sram_mm2(bits, a) + gates * unit_gate_mm2(a) * a["unit_timed"]
    fj = products * (a["mac_fj"] + a["sram_fj_per_byte"] * ELEMENT / 8)
    return AdapterPrice(rank, bits, products, 2 * rank * at_once, mm2, fj * a["energy_scale"])


def lanes_of(sizes: "AdapterSizes", cycles: float) -> int:
    """Elements a cycle with which an adapter takes a packet, and gives one, in so many cycles."""
    return ceil(max(sizes.inputs, sizes.rows) / cycles)
