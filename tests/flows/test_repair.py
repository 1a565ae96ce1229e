"""Yields with dead neurons that are good enough, and with spare neurons, against what they are by hand."""

from math import exp

import numpy as np
import pytest

from hardloom.flows.design.estimate.cost import murphy_yield
from hardloom.flows.design.estimate.figures import Estimate, estimate, read_model
from hardloom.flows.design.estimate.repair import poisson_cdf, yield_with
from hardloom.flows.design.estimate.request import Request


def run(name: str, **changes: object) -> Estimate:
    return estimate(*read_model(name, None), Request(**changes))


def slope(defects: float) -> float:
    """Derivative of Murphy's yield by the mean number of defects."""
    good = (1 - exp(-defects)) / defects
    return 2 * good * (exp(-defects) * defects - (1 - exp(-defects))) / defects**2


@pytest.mark.parametrize("area", [50.0, 531.0, 827.08])
def test_where_every_defect_stops_the_die_it_is_murphy_s_yield(area):
    assert yield_with(area, [], 0, 0.11) == pytest.approx(murphy_yield(area, 0.11), abs=1e-5)
    assert yield_with(area / 4, [(1, area / 4), (2, area / 4)], 0, 0.11) == pytest.approx(
        murphy_yield(area, 0.11), abs=1e-5
    )


@pytest.mark.parametrize("area", [100.0, 700.0])
def test_one_defect_more_is_spared_by_the_chance_of_exactly_one(area):
    """E[(1 + x) e^-x] over Murphy's densities: his yield, and its derivative times the defects."""
    defects = area / 100 * 0.11
    assert yield_with(0.0, [(1, area)], 1, 0.11) == pytest.approx(
        murphy_yield(area, 0.11) - defects * slope(defects), abs=1e-5
    )


def test_events_are_poisson():
    mean = np.array([0.0, 0.5, 3.0])
    assert poisson_cdf(2, mean) == pytest.approx([exp(-m) * (1 + m + m * m / 2) for m in mean])


@pytest.mark.parametrize("name", ["llada-moe-7b", "llada2.0-flash"])
def test_spares_cost_area_and_save_dies(name):
    found = run(name)
    repaired = found.repair
    assert found.costs.yield_ < repaired.yield_tolerating < repaired.yield_repaired < 1
    assert 0 < repaired.spare_mm2 < 0.01 * found.chip.area
    assert repaired.die_usd_repaired < repaired.die_usd_tolerating < found.costs.die_usd
    assert found.to_json_dict()["repair"]["spares"] == 1
    assert {"local_defect_share", "spare_neurons"} <= {entry["name"] for entry in found.to_json_dict()["assumptions"]}


def test_of_arrays_that_are_not_ours_nothing_is_said():
    assert run("gpt-oss-120b", design="hnlpu", arrays="hnlpu").to_json_dict()["repair"] is None
