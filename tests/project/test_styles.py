"""A style is entered everywhere: what every floor keeps by style has the keys of `gen.arrays.styles.STYLES`."""

import random
from functools import cache

import numpy as np
import pytest
from typer.testing import CliRunner

from hardloom.flows.bench.arrays import jobs_at
from hardloom.flows.cli.app import commands
from hardloom.flows.design.cost.model import CostModel
from hardloom.flows.design.cost.quantities import COUNTED
from hardloom.flows.design.cost.tiles import TILES
from hardloom.flows.design.estimate.arrays import PRICED_STYLES, addressed
from hardloom.flows.pictures.arrays import COLORS
from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.verif.crosscheck.cells import READERS
from hardloom.verif.extract.arrays import read_array
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.mac import read_mac
from hardloom.verif.extract.neuron import read_neuron
from hardloom.verif.faults.wires import change_wire
from hardloom.verif.proof.behaviour import ORDERS
from tests.matrices import noise

PRICED = {name for name, style in STYLES.items() if not style.baseline}


@cache
def plan_of(style: str) -> ArrayPlan:
    slices = STYLES[style].small_slices(32)
    return plan_array("a", [noise("mxfp4", 8, 32, seed) for seed in range(2)], 4, slices, style, "mxfp4")


def test_a_style_is_called_what_it_is_entered_as():
    assert {name: style.name for name, style in STYLES.items()} == {name: name for name in STYLES}


def test_every_style_has_a_behaviour_to_be_proven_equal_to():
    assert set(ORDERS) == set(STYLES)


def test_every_style_has_a_second_reader():
    assert set(READERS) == set(STYLES)


def test_every_style_is_measured_and_has_a_colour():
    assert set(STYLES) < {name for name, _ in jobs_at(16, 64)} == set(COLORS)


def test_every_style_but_baselines_is_priced():
    assert (
        set(COUNTED) == {tile.style for tile in TILES} == set(CostModel.read().styles) == set(PRICED_STYLES) == PRICED
    )


def test_styles_that_are_priced_are_addressed_as_they_are_emitted():
    assert {name: addressed(name) for name in PRICED} == {name: STYLES[name].addressed for name in PRICED}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_read_back_and_its_planted_faults_are_found(style):
    plan, rng = plan_of(style), random.Random(0)
    prefab, connections = emit(plan)
    weights, text = np.stack(plan.matrices), connections["a.v"]
    assert np.array_equal(read_array(text, prefab), weights)
    for _ in range(8):
        changed, _ = change_wire(
            text, lambda name: read_neuron(prefab[f"{name}.v"]), lambda name: read_mac(prefab[f"{name}.v"]), rng
        )
        try:
            assert not np.array_equal(read_array(changed, prefab), weights)
        except ExtractionError:
            assert changed != text


def test_help_names_every_style():
    text = CliRunner().invoke(commands, ["generate", "--help"], env={"COLUMNS": "200"}).output
    assert all(name in text for name in STYLES)
