"""Masks, non-recurring engineering, dies and tokens in USD; carbon in kg CO2e."""

from dataclasses import dataclass
from math import exp, pi, sqrt

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.area import gate_um2_5nm
from hardloom.flows.design.estimate.arrays import metal_only
from hardloom.flows.design.estimate.chip import Chip
from hardloom.golden.shape import ModelShape

__all__ = ["Costs", "costs", "dies_per_wafer", "murphy_yield"]

WAFER_MM = 300
HNLPU_UM2_PER_PARAMETER = 13232e6 / 116_829_156_672  # arXiv 2508.16151v2, table 2; 5 nm
HNLPU_DIE_MM2 = 827.08  # table 1
YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Costs:
    """USD, and kg CO2e.

    nre_usd: low and high of masks, design and one system; shared_masks_usd, per_chip_masks_usd: masks that all dies
    share, and those of one die; mask_cost_reduction: price of naive hardwiring's masks over ours.
    """

    nre_usd: tuple[float, float]
    shared_masks_usd: float
    per_chip_masks_usd: float
    respin_usd: float
    mask_cost_reduction: float
    yield_: float
    die_usd: float
    system_usd: float
    usd_per_million_tokens: float
    kg_per_million_tokens: float
    lifetime_kg: float


def dies_per_wafer(die_mm2: float) -> float:
    """Whole dies on a 300 mm wafer, without edge exclusion."""
    return pi * (WAFER_MM / 2) ** 2 / die_mm2 - pi * WAFER_MM / sqrt(2 * die_mm2)


def murphy_yield(die_mm2: float, defects_per_cm2: float) -> float:
    """Share of good dies by Murphy's model."""
    defects = die_mm2 / 100 * defects_per_cm2
    return ((1 - exp(-defects)) / defects) ** 2


def mask_usd(dies: int, set_usd: float, share: float) -> float:
    """Masks of `dies` different dies: one set's shared part, and every die's own."""
    return set_usd * (1 - share + share * dies)


def differing_share(chip: Chip, a: Assumptions) -> float:
    """Share of a mask set's price that differs between dies: all of it where an array is more than metal."""
    share = a["per_chip_mask_share"]
    return share if all(metal_only(choice.option.style) for choice in chip.choices) else 1.0


def naive_mask_sets(shape: ModelShape, a: Assumptions) -> float:
    """Mask sets of naive hardwiring: HNLPU's area a parameter, times what a constant multiplier a weight adds."""
    area = shape.parameters * HNLPU_UM2_PER_PARAMETER * a["gate_um2"] / gate_um2_5nm() * 1e-6
    return max(1.0, area * a["cell_embedding_area_ratio"] / HNLPU_DIE_MM2)


def recurring(chip: Chip, a: Assumptions, end: int | None) -> float:
    """USD of one system's dies, packages, boards; `end` 0 and 1: at the low and the high end of the ranges."""
    names = ("package_test_usd", "system_usd")
    extra = sum(chip.extra_usd) / 2 if end is None else chip.extra_usd[end]
    each = sum(a[n] if end is None else a.range(n)[end] for n in names) + extra
    return chip.dies * (die_usd(chip, a) + each)


def die_usd(chip: Chip, a: Assumptions) -> float:
    die = chip.area / chip.dies
    return a["wafer_usd"] / (dies_per_wafer(die) * murphy_yield(die, a["defects_per_cm2"]))


def nre(chip: Chip, a: Assumptions, end: int) -> float:
    masks = mask_usd(chip.dies, a.range("mask_set_usd")[end], differing_share(chip, a))
    return masks + a.range("design_usd")[end] * a["design_cost_scale"] + recurring(chip, a, end)


def costs(chip: Chip, shape: ModelShape, a: Assumptions) -> Costs:
    """All of it, for a chip."""
    share, set_usd = differing_share(chip, a), a["mask_set_usd"]
    die = chip.area / chip.dies
    system = recurring(chip, a, None)
    once = mask_usd(chip.dies, set_usd, share) + a["design_usd"] * a["design_cost_scale"]
    tokens = chip.tokens_per_s * a["duty"] * a["lifetime_years"] * YEAR_S
    kwh_per_token = chip.power * a["system_overhead"] * a["pue"] / chip.tokens_per_s / 3.6e6
    made_kg = embodied_kg(chip, a)
    return Costs(
        nre_usd=(nre(chip, a, 0), nre(chip, a, 1)),
        shared_masks_usd=set_usd * (1 - share),
        per_chip_masks_usd=set_usd * share,
        respin_usd=set_usd * share * chip.dies + system,
        mask_cost_reduction=naive_mask_sets(shape, a) * set_usd / mask_usd(chip.dies, set_usd, share),
        yield_=murphy_yield(die, a["defects_per_cm2"]),
        die_usd=die_usd(chip, a),
        system_usd=system,
        usd_per_million_tokens=1e6 * ((once / a["systems"] + system) / tokens + kwh_per_token * a["usd_per_kwh"]),
        kg_per_million_tokens=1e6 * (made_kg / tokens + kwh_per_token * a["grid_kg_per_kwh"]),
        lifetime_kg=made_kg + kwh_per_token * tokens * a["grid_kg_per_kwh"],
    )


def embodied_kg(chip: Chip, a: Assumptions) -> float:
    """kg CO2e of making one system's silicon: its share of wafers, lost dies included; HNLPU states a module's."""
    if "module_kg" in a:
        return chip.dies * a["module_kg"]
    die = chip.area / chip.dies
    wafers = chip.dies / (dies_per_wafer(die) * murphy_yield(die, a["defects_per_cm2"]))
    return wafers * pi * (WAFER_MM / 20) ** 2 * a["carbon_kg_per_cm2"]
