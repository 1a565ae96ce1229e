"""Defects that stop one neuron: dies that are good enough with some, and spare neurons that take their place.

A hardwired neuron cannot take another's place, its weights being wires. So a spare is a programmable one: the weights
of a row in SRAM, which a map fills at start, and multipliers that keep up with the array. It is priced here; the
generator writes none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.area import unit_gate_mm2
from hardloom.flows.design.estimate.chip import Chip
from hardloom.flows.design.estimate.choices import Choice, array_mm2
from hardloom.flows.design.estimate.cost import dies_per_wafer
from hardloom.golden.quantization.format_names import CODE_BITS

__all__ = ["Repair", "poisson_cdf", "repair", "yield_with"]

DENSITIES = 400
"""Densities of defects over which Murphy's triangular distribution is summed."""


@dataclass(frozen=True)
class Repair:
    """Of a chip's dies, all alike.

    Attributes
    ----------
    tolerated: dead neurons that a die may have; yield_tolerating, die_usd_tolerating: share of dies that are good
        enough then, and the price of one.
    spares: programmable neurons an array; spare_mm2: of all of them on all dies; yield_repaired, die_usd_repaired: with
        them, no neuron of a good die being dead.
    """

    tolerated: int
    yield_tolerating: float
    die_usd_tolerating: float
    spares: int
    spare_mm2: float
    yield_repaired: float
    die_usd_repaired: float


def poisson_cdf(most: int, mean: np.ndarray) -> np.ndarray:
    """Chance of `most` events or fewer where there are `mean` of them on average."""
    term = total = np.exp(-mean)
    for number in range(1, most + 1):
        term = term * mean / number
        total = total + term
    return total


def yield_with(fatal_mm2: float, groups: Sequence[tuple[float, float]], spared: int, defects_per_cm2: float) -> float:
    """Share of good dies by Murphy's distribution of densities, a triangle from 0 to twice the mean.

    fatal_mm2: where a defect stops the die. groups: number of groups, and of each the mm2 where a defect stops a
    neuron; a group may have `spared` of these. Without groups it is `flows.design.estimate.cost.murphy_yield`.
    """
    place = (np.arange(DENSITIES) + 0.5) / DENSITIES * 2
    weight = np.minimum(place, 2 - place) * 2 / DENSITIES
    density = place * defects_per_cm2 / 100
    good = np.exp(-fatal_mm2 * density)
    for number, each_mm2 in groups:
        good = good * poisson_cdf(spared, each_mm2 * density) ** number
    return float((weight * good).sum() / weight.sum())


def spare_mm2(choice: Choice, a: Assumptions) -> float:
    """A programmable neuron that keeps up with an array: a row of the largest of its formats, and multipliers."""
    bits = max((CODE_BITS[format] for format, _ in choice.kind.formats), default=4)
    multipliers = ceil(choice.kind.inputs / choice.cost.packet_cycles)
    logic = multipliers * a["mac_gates"] + a["spare_control_gates"]
    memory = choice.kind.inputs * bits * a["sram_bitcell_um2"] / a["sram_efficiency"]
    return logic * unit_gate_mm2(a) * a["unit_timed"] + memory * 1e-6


def repair(chip: Chip, a: Assumptions) -> Repair | None:
    """Yields of a chip that may have dead neurons, and of one with spares; None of a chip without arrays of ours."""
    if not chip.choices:
        return None
    local = a["local_defect_share"]
    units = [(choice, choice.kind.count * choice.kind.layers) for choice in chip.choices]
    groups = [(n / chip.dies, local * array_mm2(choice, a) / n) for choice, n in units]
    stopping = sum(number * each for number, each in groups)
    density, die = a["defects_per_cm2"], chip.area / chip.dies
    tolerated, spares = round(a["tolerated_dead_neurons"]), round(a["spare_neurons"])
    added = spares * sum(n * spare_mm2(choice, a) for choice, n in units)
    larger = die + added / chip.dies
    tolerating = yield_with(die - stopping, [(1.0, stopping)], tolerated, density)
    repaired = yield_with(larger - stopping, groups, spares, density)

    def usd(area: float, good: float) -> float:
        return a["wafer_usd"] / (dies_per_wafer(area) * good)

    return Repair(tolerated, tolerating, usd(die, tolerating), spares, added, repaired, usd(larger, repaired))
